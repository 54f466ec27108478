"""The pipeline by kfp.local, each task's command run on this host: the same programs, values and order as in images.

In their images tests/containers run it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kfp import local
from mlflow import MlflowClient
from ruamel.yaml import YAML

from benchmarks.small_project import MODEL
from components.contract.kfp_task import merged
from components.contract.stages import stages
from pipelines.kubeflow.pipeline import pipeline
from tests.kfp_local import named_conditions, on_this_host  # noqa: F401 - fixtures
from viker.core.files import sha256_path
from viker.data.requests import read_requests

ROOT = Path(__file__).parents[2]
SMALL = {
    "finetune": {"base_steps": 2, "memorise_epochs": 1, "model": MODEL},
    "unlearn": {"epochs": 1},
    "evaluate": {"max_new_tokens": 4},
    "gate": {"policy": None, "rules": ["unlearned.forget.leakage_rate <= 1.0"]},
}
REQUEST = "id: r1\ndate: 2026-11-01\npeople: ['001']  # as asked\nreason: erasure\ndeadline: 2026-12-01\n"


def without_attacks() -> dict:
    values = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    return merged(
        SMALL, {"evaluate": {"attacks": {name: {"enabled": False} for name in values["evaluate"]["attacks"]}}}
    )


def nulls_written(value):
    return (
        {k: nulls_written(v) for k, v in value.items()}
        if isinstance(value, dict)
        else "null"
        if value is None
        else value
    )


def tasks(root: Path) -> set[str]:
    """The tasks that have run, of the newest run below ``root``, and of the DAGs inside it."""
    newest = sorted(path for path in root.iterdir() if not path.name.startswith("."))[-1]
    return {path.name for path in newest.iterdir()}


@pytest.mark.slow
@pytest.mark.usefixtures("named_conditions", "on_this_host")
def test_requests_are_carried_out_only_where_the_gate_passes_and_as_dvc_would(
    small_description,
    s3,
    bucket,
    monkeypatch,
    tmp_path,
) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(ROOT)
    s3.put_object(Bucket=bucket, Key="requests/r1.yaml", Body=REQUEST.encode())
    root = tmp_path / "root"
    local.init(local.DockerRunner(), pipeline_root=str(root), enable_caching=True, cache_root=str(tmp_path / "kept"))
    settings = without_attacks()

    def run(changes: dict) -> set[str]:
        pipeline(lambda task: task.set_caching_options(task.name in stages() and stages()[task.name].cached))(
            params=nulls_written(merged(settings, changes)),
            source=str(small_description),
            requests=f"s3://{bucket}/requests",
            only_requests=True,
        )
        return tasks(root)

    def request() -> str:
        return s3.get_object(Bucket=bucket, Key="requests/r1.yaml")["Body"].read().decode()

    # The gate fails: registered with its verdict, reported, not promoted, the request stays pending.
    ran = run({"gate": {"rules": ["unlearned.forget.leakage_rate >= 1.0"]}})
    assert {"resolve", "unlearn", "register", "report", "finish"} <= ran
    assert not {"promote", "close"} & ran
    registry = MlflowClient(store)
    assert set(registry.get_registered_model("viker-adapter").aliases) == {"candidate"}
    assert request() == REQUEST
    page = (sorted(path for path in root.iterdir())[0] / "report" / "evidence").read_text()
    assert "the person asks for erasure" in page and "2026-12-01" in page

    # As DVC would: the stages' own commands on the same values.
    first = sorted(path for path in root.iterdir())[0]
    (made,) = (path for path in [first / "unlearn" / "adapter"])
    by_hand = chain(tmp_path / "by-hand", settings, small_description)
    weights = "adapter_model.safetensors"  # beside it the configuration names the vanilla model's folder
    assert sha256_path(by_hand / "models/adapter" / weights) == sha256_path(made / weights)
    measured = json.loads((first / "evaluate" / "metrics").read_text())
    expected = json.loads((by_hand / "metrics/evaluate.json").read_text())
    for name in ("model", "data", "params"):
        assert measured["inputs"][name] == expected["inputs"][name]
    beside = ("inputs", "digest")  # of the adapter's folder
    assert {k: v for k, v in measured.items() if k not in beside} == {
        k: v for k, v in expected.items() if k not in beside
    }

    # With other rules only the gate and what follows it run: the rest is in the cache.
    ran = run({})
    assert {"gate", "register", "promote", "close", "report"} <= ran
    assert not {"prepare", "finetune", "sample", "unlearn", "evaluate"} & ran
    aliases = registry.get_registered_model("viker-adapter").aliases
    assert aliases["champion"] == aliases["candidate"]
    assert f"version: {aliases['champion']}" in request()
    assert "# as asked" in request()

    # Nothing is pending any more: green after the first task.
    assert run({}) == {"resolve", "finish"}

    runs = registry.search_runs([e.experiment_id for e in registry.search_experiments()])
    assert all("viker.pipeline_run" in one.data.tags for one in runs)
    assert len([one for one in runs if "mlflow.parentRunId" not in one.data.tags]) == 2
    assert {one.info.status for one in runs} == {"FINISHED"}


def chain(work: Path, settings: dict, description: Path) -> Path:
    """Run the stages up to evaluate by their commands, as dvc.yaml does, in a work tree of their own."""
    work.mkdir()
    values = merged(YAML(typ="safe", pure=True).load(ROOT / "params.yaml"), settings)
    values = merged(values, {"prepare": {"source": str(description), "requests": "requests"}})
    YAML(typ="safe", pure=True).dump(values, work / "params.yaml")
    (work / "requests").mkdir()
    (work / "requests/r1.yaml").write_text(REQUEST)
    assert len(read_requests(work / "requests")) == 1
    for stage in ("prepare", "finetune", "sample", "unlearn", "evaluate"):
        environment = os.environ | {"VIKER_TRACKING": "off"}
        subprocess.run([sys.executable, "-m", f"components.{stage}"], cwd=work, env=environment, check=True)
    return work
