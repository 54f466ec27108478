"""The compiled pipeline through the double of Kubeflow, each task's command run on this host with real files.

In their images tests/containers run it.
"""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from benchmarks.small_project import MODEL, POLICY
from components.contract.kfp_task import merged
from tests.kubeflow.backend import Backend, Run
from tests.kubeflow.launcher import on_this_host
from tests.viker.tracking.tree import run_chain
from viker.core.files import sha256_path
from viker.data.requests import read_requests

ROOT = Path(__file__).parents[2]
SMALL = {
    "prepare": {"base_set": True},
    "finetune": {"deployed_model": None, "base_steps": 2, "memorise_epochs": 1, "model": MODEL},
    "unlearn": {"epochs": 1},
    "evaluate": {"max_new_tokens": 4, "processes": 1},
    "gate": {"policy": str(ROOT / POLICY), "rules": []},
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


@pytest.mark.slow
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
    cache = tmp_path / "cache"
    outside = {"MLFLOW_TRACKING_URI": store, "HF_HOME": str(cache / "huggingface")}
    kubeflow = Backend((ROOT / "deploy/pipeline.yaml").read_text(), tmp_path / "pods", on_this_host(cache), outside)
    settings = without_attacks()

    def run(changes: dict) -> Run:
        ended = kubeflow.run(
            params=nulls_written(merged(settings, changes)),
            source=str(small_description),
            requests=f"s3://{bucket}/requests",
            only_requests=True,
        )
        assert ended.state == "SUCCEEDED", ended.states
        return ended

    def came_to(ended: Run) -> str:
        return json.loads(ended.path("finish", "ended").read_text())["outcome"]

    def request() -> str:
        return s3.get_object(Bucket=bucket, Key="requests/r1.yaml")["Body"].read().decode()

    # The gate fails: registered with its verdict, reported, not promoted, the request stays pending.
    first = run({"gate": {"rules": ["unlearned.forget.leakage_rate >= 1.0"]}})
    assert {"resolve", "collect", "unlearn", "register", "report", "finish"} <= first.ran()
    assert not {"promote", "close", "refuse"} & first.ran()
    assert came_to(first) == "gate failed"
    registry = MlflowClient(store)
    assert set(registry.get_registered_model("viker-adapter").aliases) == {"candidate"}
    assert request() == REQUEST
    page = first.path("report", "evidence").read_text()
    assert "the person asks for erasure" in page and "2026-12-01" in page

    # As DVC would: the stages' own commands on the same values.
    made = first.path("unlearn", "adapter")
    by_hand = chain(tmp_path / "by-hand", settings, small_description)
    weights = "adapter_model.safetensors"  # beside it the configuration names the vanilla model's folder
    assert sha256_path(by_hand / "models/adapter" / weights) == sha256_path(made / weights)
    measured = json.loads(first.path("evaluate", "metrics").read_text())
    expected = json.loads((by_hand / "metrics/evaluate.json").read_text())
    for name in ("model", "data", "params"):
        assert measured["inputs"][name] == expected["inputs"][name]
    beside = ("inputs", "digest")  # of the adapter's folder
    assert {k: v for k, v in measured.items() if k not in beside} == {
        k: v for k, v in expected.items() if k not in beside
    }

    # With other rules only the gate and what follows it run: the rest is in the cache.
    second = run({})
    assert {"gate", "register", "promote", "close", "report"} <= second.ran()
    assert not {"collect", "prepare", "finetune", "sample", "unlearn", "evaluate"} & second.ran()
    assert came_to(second) == "passed"
    aliases = registry.get_registered_model("viker-adapter").aliases
    assert aliases["champion"] == aliases["candidate"]
    assert f"version: {aliases['champion']}" in request()
    assert "# as asked" in request()

    # Nothing is pending any more: green after the first task.
    third = run({})
    assert third.ran() == {"resolve", "finish"}
    assert came_to(third) == "nothing to do"

    runs = registry.search_runs([e.experiment_id for e in registry.search_experiments()])
    assert all("viker.pipeline_run" in one.data.tags for one in runs)
    assert len([one for one in runs if "mlflow.parentRunId" not in one.data.tags]) == 2
    assert {one.info.status for one in runs} == {"FINISHED"}


def chain(work: Path, settings: dict, description: Path) -> Path:
    """Run the stages up to evaluate by their programs, as dvc.yaml does, in a work tree of their own."""
    work.mkdir()
    values = merged(YAML(typ="safe", pure=True).load(ROOT / "params.yaml"), settings)
    values = merged(values, {"prepare": {"source": str(description), "requests": "requests"}})
    YAML(typ="safe", pure=True).dump(values, work / "params.yaml")
    (work / "requests").mkdir()
    (work / "requests/r1.yaml").write_text(REQUEST)
    assert len(read_requests(work / "requests")) == 1
    run_chain(work, "prepare", "sample", VIKER_TRACKING="off")
    run_chain(work, "finetune", VIKER_TRACKING="off")  # apart: it chooses the processor's instructions for its process
    run_chain(work, "unlearn", "evaluate", VIKER_TRACKING="off")
    return work
