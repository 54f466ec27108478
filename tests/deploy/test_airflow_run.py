"""Airflow with a real scheduler carries requests out, from the file to the promotion, at toy size."""

import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from components.contract.kfp_task import merged
from tests.components.evaluate.whole import write_inputs
from tests.deploy.airflow_server import Airflow
from tests.pipelines.test_pipeline_local import nulls_written, without_attacks
from viker.data.requests import read_requests

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("AIRFLOW_PYTHON")
KEEP = os.environ.get("VIKER_AIRFLOW_KEEP")
"""A folder that the grid's picture is written to, for docs/airflow.md."""
REQUEST = "id: {0}\ndate: 2026-11-01\npeople: ['{1}']\nreason: erasure\ndeadline: 2026-12-01\n"
IMPOSSIBLE = {"gate": {"rules": ["unlearned.forget.leakage_rate > 1.0"]}}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="AIRFLOW_PYTHON names no Python with Airflow: see 'make test-airflow'"),
]


@pytest.fixture(scope="module")
def requests(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("requests")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(scope="module")
def posted():
    """The address of a webhook, and what was posted to it."""
    bodies: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", bodies
        server.shutdown()


@pytest.fixture(scope="module")
def airflow(prepared, small_description, requests, store, posted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("airflow")
    write_inputs(folder, prepared)
    environment = {
        "VIKER_EXECUTOR": "process",
        "VIKER_SHARED": str(folder / "shared"),
        "VIKER_HOME": str(ROOT),
        "VIKER_PYTHON": sys.executable,
        "VIKER_REQUESTS": str(requests),
        "VIKER_SOURCE": str(small_description),
        "VIKER_MODEL": str(folder / "vanilla"),
        "VIKER_RETRIES": "1",
        "VIKER_RETRY_SECONDS": "1",
        "VIKER_TRACKING": "off",
        "VIKER_WEBHOOK": posted[0],
        "MLFLOW_TRACKING_URI": store,
    }
    (folder / "home").mkdir()
    server = Airflow(str(PYTHON), folder / "home", environment)
    yield server
    server.stop()


def conf(*changes: dict) -> dict:
    settings = without_attacks()
    for change in changes:
        settings = merged(settings, change)
    return {"params": nulls_written(settings)}


def add(requests: Path, name: str, person: str) -> None:
    (requests / f"{name}.yaml").write_text(REQUEST.format(name, person))


def champion(store: str) -> int:
    return int(MlflowClient(store).get_registered_model("viker-adapter").aliases["champion"])


def closed(requests: Path) -> dict[str, int | None]:
    found = read_requests(requests).values()
    return {one.id: one.carried_out.version if one.carried_out else None for one in found}


def test_of_two_runs_at_once_one_carries_the_request_out_and_the_other_finds_nothing_to_do(
    airflow, requests, store
) -> None:
    add(requests, "r1", "001")
    airflow.trigger("first", conf())
    airflow.trigger("second", conf())
    first, second = airflow.wait("first"), airflow.wait("second")
    assert first[""] == second[""] == "success"
    assert first["promote"] == first["close"] == first["purge"] == first["finish"] == "success"
    assert (first["nothing_to_do"], first["not_promoted"]) == ("skipped", "skipped")
    assert (second["nothing_to_do"], second["finish"]) == ("success", "success")
    assert second["unlearn"] == second["register"] == "skipped"
    assert closed(requests) == {"r1": champion(store)}


def test_behind_a_failed_gate_nothing_is_promoted_and_the_request_stays(airflow, requests, store) -> None:
    before = champion(store)
    add(requests, "r2", "002")
    airflow.trigger("failing", conf(IMPOSSIBLE))
    states = airflow.wait("failing")
    assert states[""] == "success"
    assert (states["not_promoted"], states["promote"], states["close"]) == ("success", "skipped", "skipped")
    assert states["report"] == states["finish"] == "success"
    assert champion(store) == before
    assert closed(requests)["r2"] is None


def test_a_task_that_is_killed_resumes_and_what_was_forgotten_stays_forgotten(airflow, requests, store) -> None:
    airflow.trigger("killed", conf({"unlearn": {"epochs": 60, "checkpoint_steps": 1}}))
    end = time.monotonic() + 900
    state = airflow.home.parent.joinpath("shared", "airflow", "killed", "work", "unlearn")
    while not list(state.glob("checkpoint-*/trainer_state.json")):
        assert time.monotonic() < end, "no checkpoint"
        time.sleep(0.2)
    for process in psutil.process_iter(["cmdline", "environ"]):
        ours = (process.info["environ"] or {}).get("AIRFLOW_HOME") == str(airflow.home)
        if ours and "components.unlearn" in (process.info["cmdline"] or ()):
            process.send_signal(signal.SIGKILL)
    states = airflow.wait("killed")
    assert states[""] == states["close"] == "success"
    assert airflow.tries("killed", "unlearn") == 2
    version = champion(store)
    assert closed(requests) == {"r1": closed(requests)["r1"], "r2": version}
    assert MlflowClient(store).get_model_version("viker-adapter", str(version)).tags["requests"] == "r1, r2"


def test_what_the_user_must_put_right_is_not_tried_again_and_is_posted(airflow, requests, posted) -> None:
    add(requests, "r3", "nobody")
    airflow.trigger("wrong", conf())
    states = airflow.wait("wrong")
    assert states[""] == "failed"
    assert (states["prepare"], states["finish"]) == ("failed", "success")
    assert airflow.tries("wrong", "prepare") == 1
    assert "an ID that nobody in the data has" in airflow.text("wrong", "prepare")
    failed = [body["text"] for body in posted[1] if body["text"].startswith("viker: the task ")]
    assert len(failed) == 1 and "the task prepare of the run wrong has failed: " in failed[0]
    assert "an ID that nobody in the data has" in failed[0]
    (requests / "r3.yaml").unlink()


def test_a_backfill_of_past_days_does_nothing(airflow) -> None:
    day = datetime.now(UTC) - timedelta(days=2)
    run = {"dag_id": "viker", "from_date": day.isoformat(), "to_date": (day + timedelta(days=1)).isoformat()}
    assert airflow.call("POST", "/backfills/dry_run", run | {"run_backwards": False}) is not None


def test_the_grid_shows_the_runs(airflow, browser) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 950})
    page.goto(airflow.address)  # signs in
    page.wait_for_selector("text=Dags", timeout=60_000)
    page.goto(f"{airflow.address}/dags/viker")
    page.wait_for_selector("text=unlearn", timeout=120_000)
    page.wait_for_timeout(3000)
    if KEEP:
        Path(KEEP).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(KEEP) / "grid.png"))
    page.close()
