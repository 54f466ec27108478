"""Who is told what a run came to, over real HTTP."""

import json
import os
import threading
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from components.contract.ended import FAILED, GATE_FAILED, NOTHING, PASSED
from components.register.notify import tell
from viker.data.requests import ForgetRequest

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)


def request(name: str, deadline: date, done: bool = False) -> ForgetRequest:
    values = {"id": name, "date": date(2026, 10, 1), "people": ["secret-person"], "reason": "erasure"}
    values |= {"deadline": deadline, "carried_out": {"date": date(2026, 11, 1), "version": 2} if done else None}
    return ForgetRequest.model_validate(values)


FAR = request("far", date(2027, 1, 1))
NEAR = request("near", date(2026, 11, 23))
LATE = request("late", date(2026, 11, 1))
DONE = request("done", date(2026, 11, 1), done=True)


@pytest.fixture
def told(monkeypatch, tmp_path):
    seen: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            known = not self.path.startswith("/services")
            if known:
                seen.append((self.command, self.path, body))
            self.send_response(200 if known else 404)
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("VIKER_WEBHOOK", f"{address}/hook")
    monkeypatch.setenv("VIKER_ALERTMANAGER", address)
    monkeypatch.setenv("VIKER_PUSHGATEWAY", address)
    monkeypatch.setenv("VIKER_METRICS_FILE", str(tmp_path / "viker.prom"))
    yield seen
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("outcome", "requests", "words", "alerts"),
    [
        (NOTHING, [FAR, DONE], [], []),
        (PASSED, [FAR], ["the gate passed"], []),
        (GATE_FAILED, [FAR], ["the gate failed"], ["ViKeRGateFailed"]),
        (FAILED, [FAR], ["failed: no space"], ["ViKeRRunFailed"]),
        (
            PASSED,
            [LATE, NEAR],
            ["not carried out: late", "1 requests are due within 3 days"],
            ["ViKeROverdue", "ViKeRDeadline"],
        ),
    ],
)
def test_each_is_told_what_it_needs_and_nothing_to_do_is_silent(told, outcome, requests, words, alerts) -> None:
    tell("run-1", outcome, ["no space"], requests, NOW)
    hook = [json.loads(body)["text"] for _, path, body in told if path == "/hook"]
    assert len(hook) == bool(words)
    assert all(word in hook[0] for word in words)
    found = [json.loads(body) for _, path, body in told if path == "/api/v2/alerts"]
    assert [alert["labels"]["alertname"] for alert in (found[0] if found else [])] == alerts
    assert "secret-person" not in str(told)


def test_metrics_are_pushed_and_written_alike(told, tmp_path) -> None:
    tell("run-1", PASSED, [], [FAR, LATE, DONE], NOW)
    (pushed,) = [body for verb, path, body in told if (verb, path) == ("PUT", "/metrics/job/viker")]
    assert (tmp_path / "viker.prom").read_text() == pushed
    lines = pushed.splitlines()
    assert {"viker_requests_pending 2", "viker_requests_overdue 1", "viker_nearest_deadline_days -19"} <= set(lines)
    assert 'viker_last_run_outcome{outcome="passed"} 1' in lines


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://user:word@127.0.0.1:9/services/xyz?token=abc", "ConnectionError"),
        ("http://127.0.0.1:{port}/services/xyz?token=abc", "it answered with 404"),
        ("http://127.0.0.1:word/services/xyz?token=abc", "InvalidURL"),
        ("http://127.0.0.1:9/ser vices/xyz?token=abc", "ConnectionError"),
        ("http://.word/services/xyz?token=abc", "InvalidURL"),
        ("127.0.0.1/services/xyz?token=abc", "MissingSchema"),
        ("ftp://127.0.0.1/services/xyz?token=abc", "InvalidSchema"),
    ],
)
def test_what_doesnt_answer_fails_nothing_and_is_logged_without_its_secret(
    told, monkeypatch, caplog, address, reason
) -> None:
    port = os.environ["VIKER_ALERTMANAGER"].rpartition(":")[2]
    monkeypatch.setenv("VIKER_WEBHOOK", address.format(port=port))
    tell("run-1", GATE_FAILED, [], [], NOW)
    assert "VIKER_WEBHOOK was not told" in caplog.text
    assert reason in caplog.text
    assert not [secret for secret in ("word", "abc", "xyz", "vices") if secret in caplog.text]
    assert {path for _, path, _ in told} == {"/api/v2/alerts", "/metrics/job/viker"}
