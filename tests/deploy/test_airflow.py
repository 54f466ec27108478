"""The DAG for Airflow: read as text here, and by Airflow itself in a virtual environment of its own."""

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/airflow/viker_dag.py"
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


def test_the_stages_and_their_order_are_those_of_dvc_yaml() -> None:
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    needs = constant("NEEDS")
    assert list(needs) == list(stages)
    outs = {
        next(iter(out)) if isinstance(out, dict) else out: name
        for name, stage in stages.items()
        for out in stage.get("outs", []) + stage.get("metrics", [])
    }

    def before(name: str) -> set[str]:
        return set(needs[name]).union(*(before(other) for other in needs[name]))

    for name, stage in stages.items():
        read = {made for dep in stage["deps"] for out, made in outs.items() if dep == out or dep.startswith(f"{out}/")}
        assert read <= before(name), name


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
    assert {name: tuple(sorted(needs)) for name, needs in constant("NEEDS").items()} == {
        name: tuple(task["after"]) for name, task in tasks.items()
    }
    assert {name for name, task in tasks.items() if task["gpu"]} == {"finetune", "unlearn", "evaluate"}
    for name, task in tasks.items():
        assert f"/viker-{name}:" in task["image"]
        assert f"components.{name}" in task["arguments"][0]
        assert task["retries"] == 3
