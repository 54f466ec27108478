"""The DAGs for Airflow: their tasks as text here, and read by Airflow itself in a virtual environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from components.contract.stages import stages
from pipelines.airflow import airflow_tasks

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/airflow"
TASKS = json.loads((FOLDER / "tasks.json").read_text(encoding="utf-8"))
PYTHON = os.environ.get("AIRFLOW_PYTHON")
LOOK = """
import json, sys
from airflow.models.dagbag import DagBag
sys.path.insert(0, sys.argv[1])
bag = DagBag(sys.argv[1], include_examples=False)
assert not bag.import_errors, bag.import_errors
dag = bag.dags["viker"]
print(json.dumps({"": dag.timetable.summary} | {t.task_id: {"after": sorted(t.upstream_task_ids), "kind": t.task_type,
    "pool": t.pool, "retries": t.retries, "deferrable": getattr(t, "deferrable", None),
    "image": getattr(t, "image", "")} for t in dag.tasks}))
"""


def test_the_tasks_are_made_from_what_the_stages_declare() -> None:
    found = (FOLDER / "tasks.json").read_text(encoding="utf-8")
    assert found == airflow_tasks(), "run 'viker pipeline compile' and commit tasks.json"
    around = {"resolve", "collect", "promote", "close", "purge", "finish"}
    assert {one["task"] for one in TASKS} == {*stages(), *around}


def test_every_task_waits_for_what_it_reads_and_says_how_it_ended() -> None:
    for one in TASKS:
        assert set(one["after"]) <= {other["task"] for other in TASKS}
        assert "outcome" in one["outputs"]["parameters"]
        assert one["large"] == (one["task"] in stages() and stages()[one["task"]].loads_model)
    flags = {one["task"]: one["flags"] for one in TASKS if one["flags"]}
    assert flags == {"gate": ["--no-enforce"], "register": ["--no-promote"]}


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="AIRFLOW_PYTHON names no Python with Airflow: see 'make test-airflow'")
@pytest.mark.parametrize(
    ("executor", "kind"),
    [("process", "BashOperator"), ("docker", "DockerOperator"), ("kubernetes", "KubernetesPodOperator")],
)
def test_airflow_reads_the_dag_for_every_executor(executor, kind, tmp_path) -> None:
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment |= {"VIKER_EXECUTOR": executor, "VIKER_CRON": "0 3 * * *", "VIKER_REGISTRY": "ghcr.io/o"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [PYTHON, "-c", LOOK, str(FOLDER)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tasks = json.loads(done.stdout.splitlines()[-1])
    assert tasks.pop("") == "Asset or 0 3 * * *"
    described = {one["task"]: one for one in TASKS}
    for name, task in tasks.items():
        if name not in described:
            continue
        assert task["kind"] == kind
        assert task["pool"] == ("viker_gpu" if described[name]["large"] else "default_pool")
        assert task["retries"] == 3
        assert executor != "kubernetes" or task["deferrable"]
        assert executor == "process" or task["image"] == f"ghcr.io/o/viker-{described[name]['image']}:latest"
    assert tasks["promote"]["after"] == ["gate", "register", "verdict"]
    assert tasks["collect"]["after"] == ["is_there_work"]
