"""A whole study on a small tree: killed, resumed, applied, and judged by a rule that nothing meets."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.viker.tracking.tree import ROOT, change, read, run, small_tree, start_command


@pytest.mark.slow
def test_a_study_that_is_killed_goes_on_and_ends_with_values_or_the_rule_that_is_not_met(tmp_path, monkeypatch):
    monkeypatch.setenv("VIKER_CACHE_GIB", "1")  # trials share what doesn't depend on the adapter
    tree = small_tree(tmp_path / "tree", epochs=1)
    (tree / "benchmarks").symlink_to(ROOT / "benchmarks")
    space = {"unlearn.lr": {"low": 0.001, "high": 0.01, "log": True}, "unlearn.epochs": {"low": 1, "high": 2}}
    change(tree, gate={"policy": "benchmarks/small_policy.yaml"}, tune={"space": space, "finalists": 1})
    for stage in ("prepare", "finetune", "sample"):
        run(tree, stage, VIKER_TRACKING="off")
    before = (tree / "params.yaml").read_text()

    killed = start_command(tree, "tune", "--trials", "2")
    while killed.poll() is None and not finished(tree):
        time.sleep(0.1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    done_before_kill = finished(tree)
    assert len(done_before_kill) == 1 and not (tree / "models/adapter").exists()

    code, told, err = tune(tree, "--trials", "2", "--apply", "--json")
    assert code == 0, err
    assert done_before_kill.items() <= finished(tree).items()
    assert [one["number"] for one in told["trials"]] == [0, 1]
    recalled = [path for path in (tree / "work/tune").glob("unlearn-*/log.txt") if "taken from" in path.read_text()]
    assert len(recalled) == 1 and len(list((tree / "work/cache").glob("*/teacher-*"))) == 1
    assert told["trials"][0]["values"] == {"unlearn.lr": 0.001, "unlearn.epochs": 1}
    assert "trial 2 of 2" in err and told["cost"]["seconds"]["evaluate"] > 0
    values = told["chosen"]["values"]
    assert {f"unlearn.{key}": read(tree)["unlearn"][key] for key in ("lr", "epochs")} == values
    assert (tree / "params.yaml").read_text().count("#") == before.count("#")
    assert {"trials.csv", "frontier.png", "tune.html"} <= {path.name for path in Path(told["folder"]).iterdir()}
    assert not [name for name in ("models/adapter", "unlearning", "metrics", "evaluation") if (tree / name).exists()]

    client = MlflowClient(f"sqlite:///{tree / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("viker").experiment_id])
    names = {one.info.run_id: one.info.run_name for one in runs}
    above = {one.info.run_name: names.get(one.data.tags.get("mlflow.parentRunId", "")) for one in runs}
    top = next(name for name in above if name.startswith("tune-"))
    assert above["lr=0.001 epochs=1"] == top and above[top] is None
    probed = next(one for one in runs if one.info.run_name == "lr=0.001 epochs=1")
    assert probed.data.metrics.keys() >= {"probe.forget", "probe.teacher", "probe.retain"}

    change(tree, gate={"rules": ["unlearned.forget.rouge_l >= 1000"]})
    code, told, err = tune(tree, "--trials", "2", "--json")
    assert code == 3, err
    assert told["chosen"] is None and done_before_kill.items() <= finished(tree).items()
    assert [(row["rule"], row["by_all"]) for row in told["unmet"]] == [("unlearned.forget.rouge_l >= 1000", True)]
    assert told["unmet"][0]["missed"] == 1000 - told["unmet"][0]["value"]

    change(tree, gate={"require": ["vanilla.forget.leakage_rate >= 0.3"]})
    code, told, err = tune(tree, "--trials", "2", "--json")
    assert code == 1 and told is None
    assert "required is vanilla.forget.leakage_rate >= 0.3, and it is 0." in err and "finetune.deployed_model" in err

    change(tree, gate={"rules": ["unlearned.forget.samples >= 1000"]})
    code, told, err = tune(tree, "--trials", "2", "--json")
    assert code == 1 and "No trial could pass the gate" in err and "unlearned.forget.samples >= 1000" in err


def tune(tree: Path, *options: str) -> tuple[int, Any, str]:
    process = start_command(tree, "tune", *options)
    out, err = process.communicate(timeout=900)
    return process.returncode, json.loads(out or "null"), err


def finished(tree: Path) -> dict[Path, int]:
    """Return the trainings that are done, and when they were."""
    return {path: path.stat().st_mtime_ns for path in (tree / "work/tune").glob("unlearn-*/done.json")}
