"""`viker run`: one door to every engine, with the same outcome and exit codes."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import run as runs
from pipelines.cli.main import app
from viker.core.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def airflow(monkeypatch):
    """Airflow's API: a run that has ended, with the tasks that ``tasks`` names; ``seen`` is what was asked for."""

    class Handler(BaseHTTPRequestHandler):
        state, tasks, seen = "success", ["close"], []

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "null")
            Handler.seen.append((self.command, self.path.partition("?")[0], self.headers["Authorization"], body))
            tasks = [{"task_id": name, "state": "success"} for name in Handler.tasks]
            content = json.dumps({"state": Handler.state, "task_instances": tasks}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AIRFLOW_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AIRFLOW_TOKEN", "token")
    yield Handler
    server.shutdown()
    server.server_close()
    thread.join()


def viker(*arguments: str):
    return CliRunner().invoke(app, ["run", "--params", str(ROOT / "params.yaml"), *arguments])


@pytest.mark.parametrize(
    ("state", "tasks", "outcome", "code"),
    [
        ("success", ["promote", "close", "finish"], "passed", 0),
        ("success", ["not_promoted", "finish"], "gate failed", 3),
        ("success", ["nothing_to_do", "finish"], "nothing to do", 0),
        ("failed", ["finish"], "failed", 1),
    ],
)
def test_airflow_is_given_the_parameters_and_its_tasks_say_the_outcome(airflow, state, tasks, outcome, code) -> None:
    airflow.state, airflow.tasks, airflow.seen = state, tasks, []
    result = viker("--engine", "airflow", "--requests", "s3://b/requests", "--only-requests")
    assert result.exit_code == code, result.output
    assert f"airflow: {outcome}" in result.output
    verb, path, token, body = airflow.seen[0]
    assert (verb, path, token) == ("POST", "/api/v2/dags/viker/dagRuns", "Bearer token")
    assert (body["conf"]["requests"], body["conf"]["only_requests"]) == ("s3://b/requests", True)
    assert body["conf"]["params"]["unlearn"]["start_from"] == "null"
    assert "deploy" not in body["conf"]["params"]


def test_an_airflow_that_isnt_there_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_ENDPOINT", "http://127.0.0.1:9")
    assert isinstance(viker("--engine", "airflow").exception, UserError)


@pytest.mark.parametrize("engine", ["local", "dvc"])
def test_on_this_machine_params_yaml_says_what_is_run(engine) -> None:
    problem = viker("--engine", engine, "--model", "org/name").exception
    assert isinstance(problem, UserError)
    assert "--model is for airflow and kubeflow" in str(problem)


@pytest.mark.parametrize(
    ("verdict", "people", "outcome"),
    [("pass", ["1"], "passed"), ("fail", ["1"], "gate failed"), ("", [], "nothing to do")],
)
def test_the_engine_local_runs_the_stages_in_turn_until_there_is_nothing_to_do(
    verdict, people, outcome, tmp_path, monkeypatch
) -> None:
    ran: list[str] = []

    def stage(*command: str) -> None:
        ran.append(command[1].removeprefix("components."))
        (tmp_path / "data/prepared").mkdir(parents=True, exist_ok=True)
        (tmp_path / "metrics").mkdir(exist_ok=True)
        (tmp_path / "data/prepared/manifest.json").write_text(json.dumps({"forget_ids": people}))
        (tmp_path / "metrics/gate.json").write_text(json.dumps({"verdict": verdict}))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "_run", stage)
    result = viker("--engine", "local")
    assert f"local: {outcome}" in result.output
    assert ran == (list(runs.stages()) if people else ["prepare"])
