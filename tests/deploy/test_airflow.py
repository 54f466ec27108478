"""The DAG for Airflow: read as text here, and by Airflow itself in a virtual environment of its own."""

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest

from components.contract.stages import stages
from pipelines.airflow import airflow_stages

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/airflow/viker_dag.py"
STAGES = ROOT / "deploy/airflow/stages.json"
PYTHON = os.environ.get("AIRFLOW_PYTHON")
LOOK = """
import json, sys
from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1], include_examples=False)
assert not bag.import_errors, bag.import_errors
dag = bag.dags["viker"]
print(json.dumps({t.task_id: {"after": sorted(t.upstream_task_ids), "image": t.image, "gpu": "nvidia.com/gpu" in
    t.container_resources.limits, "retries": t.retries, "arguments": t.arguments} for t in dag.tasks}))
"""


def constant(name: str):
    for node in ast.parse(FILE.read_text(encoding="utf-8")).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if any(getattr(target, "id", "") == name for target in targets):
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_the_stages_are_those_that_are_declared() -> None:
    assert STAGES.read_text(encoding="utf-8") == airflow_stages(), "run 'viker pipeline compile' and commit stages.json"
    assert list(json.loads(STAGES.read_text(encoding="utf-8"))) == list(stages())


def test_what_a_task_is_given_is_json_once_airflow_has_put_the_params_in() -> None:
    text = constant("TASK").replace("{{ params.params | tojson }}", json.dumps({"unlearn": {"epochs": 3}}))
    assert json.loads(text)["inputs"]["parameterValues"]["params"] == {"unlearn": {"epochs": 3}}


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="AIRFLOW_PYTHON names no Python with Airflow: see 'make test-airflow'")
def test_airflow_imports_it(tmp_path) -> None:
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [PYTHON, "-c", LOOK, str(FILE)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tasks = json.loads(done.stdout.splitlines()[-1])
    declared = json.loads(STAGES.read_text(encoding="utf-8"))
    assert {name: stage["after"] for name, stage in declared.items()} == {
        name: task["after"] for name, task in tasks.items()
    }
    assert {name: stage["loads_model"] for name, stage in declared.items()} == {
        name: task["gpu"] for name, task in tasks.items()
    }
    for name, task in tasks.items():
        assert f"/viker-{name}:" in task["image"]
        assert f"components.{name}" in task["arguments"][0]
        assert task["retries"] == 3
