"""A sweep runs every combination once, shares what they have in common, and resumes after a kill."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image
from ruamel.yaml import YAML

from components.contract.params import load_params
from pipelines.sweep.command import _parse, _rows, _table, sweep_key
from pipelines.sweep.plan import Combination, combinations, content, input_keys, reached, read_stages
from pipelines.sweep.plot import pareto
from tests.viker.tracking.tree import ROOT, change, run, run_chain, small_tree, start_command
from viker.core.errors import UserError

PARAMS = Path("params.yaml")


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """A work tree whose stages before unlearn have run, as far as a plan can see."""
    folder = small_tree(tmp_path / "tree")
    for name in ("data/prepared", "data/irrelevant", "models/vanilla"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("1")
    monkeypatch.chdir(folder)
    return folder


def plan(root: Path, lists: dict[str, list]) -> tuple[list[str], list[dict[str, str]]]:
    """The names of the stages that all combinations share, and the keys of the others per combination."""
    content.cache_clear()
    stages = read_stages(root)
    affected = reached(stages, lists)
    keys = [input_keys(root, stages, combination) for combination in combinations(PARAMS, lists)]
    return [stage.name for stage in stages if stage not in affected], keys


def test_every_combination_runs_and_shares_the_stages_that_no_value_reaches(tree):
    lists = {"unlearn.method.lambda": [0.5, 2.0], "unlearn.lr": [0.001, 0.01]}
    combined = combinations(PARAMS, lists)
    assert [one.name for one in combined] == [
        "lambda=0.5 lr=0.001",
        "lambda=0.5 lr=0.01",
        "lambda=2.0 lr=0.001",
        "lambda=2.0 lr=0.01",
    ]
    assert combined[1].params["unlearn"]["method"]["lambda"] == 0.5 and combined[1].params["unlearn"]["lr"] == 0.01
    shared, keys = plan(tree, lists)
    assert sorted(shared) == ["finetune", "prepare", "sample"]
    assert all(list(one) == ["unlearn", "evaluate", "gate"] for one in keys)
    assert len({one["unlearn"] for one in keys}) == 4


def test_combinations_share_the_stages_that_only_one_of_the_values_reaches(tree):
    shared, keys = plan(tree, {"seed": [1, 2], "unlearn.lr": [0.5, 2.0]})
    assert shared == [] and all(len(one) == 6 for one in keys)
    assert len({one["finetune"] for one in keys}) == 2
    assert len({one["unlearn"] for one in keys}) == 4


def test_a_key_changes_with_code_shared_data_and_parameters_only(tree):
    def unlearn() -> str:
        return plan(tree, {"unlearn.lr": [0.5]})[1][0]["unlearn"]

    first = unlearn()
    change(tree, report={"answers": 3})
    assert unlearn() == first
    (tree / "models/vanilla/file").write_text("2")
    second = unlearn()
    assert second != first
    change(tree, unlearn={"epochs": 9})
    third = unlearn()
    assert third not in (first, second)
    (tree / "viker").unlink()
    shutil.copytree(ROOT / "viker", tree / "viker", ignore=shutil.ignore_patterns("__pycache__"))
    assert unlearn() == third
    (tree / "viker/training/another.py").write_text("# changed")
    assert unlearn() != third


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"unlearn.method.lamda": [1]},
            "no key 'unlearn.method.lamda' in params.yaml; did you mean 'unlearn.method.lambda'",
        ),
        ({"unlearn.method.lambda": [-1.0]}, "sweep, lambda=-1.0: params.yaml: 'unlearn.method.lambda' is -1.0"),
        ({}, "no values"),
    ],
)
def test_what_can_not_be_swept_is_named(tree, lists, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        combinations(PARAMS, lists)


def test_values_are_read_as_yaml():
    assert _parse("unlearn.method.lambda=0.5,1") == ("unlearn.method.lambda", [0.5, 1])
    assert _parse("sample.kinds=[scene],[pet, noise]") == ("sample.kinds", [["scene"], ["pet", "noise"]])
    for wrong in ("unlearn.lr", "=1", "unlearn.lr=", "x=[1"):
        with pytest.raises(UserError, match="expected NAME=VALUE,VALUE"):
            _parse(wrong)


def test_further_values_belong_to_the_same_sweep(params):
    values = params.model_dump(mode="json", by_alias=True)
    other = {**values, "unlearn": {**values["unlearn"], "lr": 9.0}}
    assert sweep_key(values, ["unlearn.lr"]) == sweep_key(other, ["unlearn.lr"])
    assert sweep_key(values, ["unlearn.epochs"]) != sweep_key(other, ["unlearn.epochs"])
    deeper = {**values, "finetune": {**values["finetune"], "model": {**values["finetune"]["model"], "layers": 9}}}
    assert sweep_key(values, ["seed", "finetune.model.layers"]) == sweep_key(deeper, ["seed", "finetune.model.layers"])
    assert sweep_key(values, ["finetune.model.width"]) != sweep_key(deeper, ["finetune.model.width"])


def result(forget: float, retain: float, verdict: str = "pass") -> dict:
    unlearned = {"forget": {"leakage_rate": forget}, "retain": {"leakage_rate": retain}}
    return {"metrics": {"unlearned": unlearned}, "gate": {"verdict": verdict}}


def rows() -> list[dict]:
    results = [result(0.0, 0.5), result(0.1, 0.9), result(0.1, 0.8, "fail"), result(0.2, 0.9), {"error": "diverged"}]
    combined = [Combination(f"lr={i}", {"unlearn.lr": float(i)}, {}) for i in range(5)]
    return list(_rows(combined, results))


def test_only_the_pareto_front_has_a_star():
    assert [row["pareto"] for row in rows()] == [True, True, False, False, False]
    assert [row["verdict"] for row in rows()] == ["pass", "pass", "fail", "pass", "error"]
    assert list(_table(rows()).columns[-1].cells) == ["pass ★", "pass ★", "fail", "pass", "error"]


def test_the_plot_is_a_picture_and_the_same_for_the_same_results(tmp_path):
    for name in ("one.png", "two.png"):
        pareto(rows(), "forget leakage", "retain accuracy", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert Image.open(tmp_path / "one.png").size == (840, 600)
    pareto([rows()[4]], "forget leakage", "retain accuracy", tmp_path / "none.png")


@pytest.mark.slow
def test_a_sweep_runs_each_combination_once_below_one_run_and_resumes_after_a_kill(tmp_path):
    tree = small_tree(tmp_path / "tree", epochs=1)
    run_chain(tree, "prepare", "sample", VIKER_TRACKING="off")
    run(tree, "finetune", VIKER_TRACKING="off")
    options = ("-S", "unlearn.method.lambda=0.5,2.0", "--jobs", "2")
    killed = start_command(tree, "sweep", *options)
    while killed.poll() is None and not finished(tree):
        time.sleep(0.1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    before_kill = finished(tree)
    assert before_kill
    done = sweep(tree, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert before_kill.items() <= finished(tree).items()
    client = MlflowClient(f"sqlite:///{tree / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("viker").experiment_id])
    names = {r.info.run_id: r.info.run_name for r in runs}
    above = {r.info.run_name: names.get(r.data.tags.get("mlflow.parentRunId", "")) for r in runs}
    top = next(name for name in above if name.startswith("sweep-"))
    assert above["lambda=0.5"] == above["lambda=2.0"] == top and above[top] is None
    assert sorted(names.values()).count("unlearn") == 2
    whole = next(r for r in runs if r.info.run_name == top)
    assert {a.path for a in client.list_artifacts(whole.info.run_id)} >= {"pareto.png", "results.csv"}

    adapters = sorted((tree / "work/sweep").glob("unlearn-*/models/adapter/adapter_model.safetensors"))
    before = [path.stat().st_mtime_ns for path in adapters]
    again = sweep(tree, "-S", "unlearn.method.lambda=0.5,2.0", "--json")
    assert again.returncode == 0 and len(adapters) == 2
    told = json.loads(again.stdout)
    assert [row["unlearn.method.lambda"] for row in told["combinations"]] == [0.5, 2.0] and told["failed"] == []
    assert isinstance(told["combinations"][0]["forget leakage"], float) and "2 of 2" in again.stderr
    assert [path.stat().st_mtime_ns for path in adapters] == before
    table = next((tree / "work/sweep").glob("*/results.csv")).read_text()
    assert [row["unlearn.method.lambda"] for row in csv.DictReader(io.StringIO(table))] == ["0.5", "2.0"]

    # by hand, in the work tree: the same adapter as in the sweep
    method = YAML(typ="safe", pure=True).load((tree / "params.yaml").read_text())["unlearn"]["method"]
    change(tree, unlearn={"method": method | {"lambda": 0.5}})
    run(tree, "unlearn", VIKER_TRACKING="off")
    by_hand = (tree / "models/adapter/adapter_model.safetensors").read_bytes()
    assert by_hand in [path.read_bytes() for path in adapters]


def sweep(tree: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    process = start_command(tree, "sweep", *options)
    out, err = process.communicate(timeout=900)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def finished(tree: Path) -> dict[Path, int]:
    """Return the steps of the sweep that are done, and when they were."""
    return {path: path.stat().st_mtime_ns for path in (tree / "work/sweep").glob("*/done.json")}


def test_the_section_in_params_yaml_can_be_planned():
    params = load_params(ROOT / "params.yaml")
    assert len(combinations(ROOT / "params.yaml", params.sweep)) == 4
