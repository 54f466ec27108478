"""The benchmark of the engine on a GPU: its toy on the CPU, its formulas, and what it says where memory runs out."""

import json
import random
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from packaging.utils import canonicalize_name
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from benchmarks.gpu import clock
from benchmarks.gpu.__main__ import app
from benchmarks.gpu.cases import CASES, chosen, measure
from benchmarks.gpu.operations import step_operations
from benchmarks.gpu.row import GOALS, Row, figure, goal, table
from benchmarks.gpu.setup import build, check_size, with_model
from benchmarks.gpu.timing import in_turns
from benchmarks.gpu.training import forward_and_backward, image_tokens, lengths
from benchmarks.unlearn.model import questions, vocabulary
from pipelines.cli.plan import planned_model
from tests.test_image_requirements import distributions
from viker.attacks.base import perform
from viker.attacks.base.attack import load_attacks
from viker.core.errors import UserError
from viker.finetuning.small_llava import IMAGE_TOKEN
from viker.models import fallback
from viker.training.memory import sizes_of

ROOT = Path(__file__).parents[2]
FILES = ("base", "data", "torch", "models", "unlearn")
"""The requirements that docs/gpu.md names."""
ALONE = """
import importlib.machinery, runpy, sys
allowed = set(sys.argv.pop(1).split(",")) | sys.stdlib_module_names

class Installed(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        top = name.partition(".")[0]
        return super().find_spec(name, path, target) if top in allowed or top.startswith("_") else None

builtin = [finder for finder in sys.meta_path if finder.__module__.startswith("_frozen_importlib")]
sys.meta_path[:] = [Installed if finder is importlib.machinery.PathFinder else finder for finder in builtin]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""
"""Runs the benchmark as if only some packages were installed."""


@pytest.fixture
def setup(params, tmp_path):
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    yield build("toy", params, 3, 1, tmp_path, {"size": "toy"})
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)


def all_of(setup, cases):
    return [row for _, rows in measure(setup, cases, str) for row in rows]


def test_the_toy_runs_on_the_model_extras_alone(tmp_path):
    lines = [line for name in FILES for line in (ROOT / f"requirements/{name}.txt").read_text().split()]
    installed = distributions([line for line in lines if line != "mlflow-skinny"])
    modules = {
        module
        for module, names in metadata.packages_distributions().items()
        if installed & {canonicalize_name(name) for name in names}
    }
    assert {"torch", "peft"} <= modules and not {"mlflow", "dvc", "kfp", "boto3", "sklearn", "nltk"} & modules
    page, out = tmp_path / "page.md", tmp_path / "toy.json"
    page.write_text("before\n<!-- make bench-gpu SIZE=toy -->\n\nnothing\n\n<!-- end -->\nafter\n")
    options = ["--size", "toy", "--samples", "3", "--rounds", "1", "--out", str(out), "--page", str(page)]
    allowed = ",".join(sorted({*modules, "viker", "components", "pipelines", "benchmarks", "tests"}))
    result = subprocess.run(
        [sys.executable, "-c", ALONE, allowed, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    measured = json.loads(out.read_text())
    assert measured["device"] == "CPU" and measured["size"] == "toy"
    rows = {row["name"]: row for of_case in measured["cases"].values() for row in of_case}
    named = [*rows, "whole run, all three"]
    assert [start for _, start in GOALS if not any(name.startswith(start) for name in named)] == []
    assert rows["two runs end with the same adapter"]["value"] == "yes"
    assert [row["name"] for row in rows.values() if "without" in row["note"] or "memory" in row["note"]] == []
    for name, row in rows.items():
        assert row["value"] is not None or name.startswith(("memory", "whole run")), name
        assert row["naive"] is None or row["ratio"] is None or row["naive"] * row["ratio"] > 0
    assert next(row["note"] for name, row in rows.items() if "of the vanilla model" in name) == "3 of 3 the same"
    assert rows["whole run, unlearn"]["note"] == "not measured: cryptography is not installed"
    share = rows["share of the ceiling, batch 8"]
    assert share["ratio"] == pytest.approx(share["value"] / share["naive"])
    assert share["naive"] == pytest.approx(rows["matrix product, the ceiling"]["value"])
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n") and "nothing" not in text
    assert all(f"| {name} |" in text and f"| {name} |" in result.stdout for name in rows)


def test_a_whole_run_is_timed_stage_by_stage_and_adds_up(setup):
    evaluate = setup.params.evaluate.model_copy(update={"attacks": {}, "max_new_tokens": 2})
    setup.params = setup.params.model_copy(update={"evaluate": evaluate})
    rows = all_of(setup, chosen("whole"))
    assert [row.name for row in rows] == [f"whole run, {name}" for name in ("unlearn", "evaluate", "gate", "all three")]
    assert rows[-1].value == pytest.approx(sum(row.value for row in rows[:-1]))
    assert rows[-1].note == "people to forget: 1, to keep: 4, public figures: 2"
    assert not list(setup.folder.iterdir())


def test_a_whole_run_that_is_stopped_goes_on_where_it_was(setup, monkeypatch):
    sections = {"paraphrase": {"questions": 1, "wordings": 1}, "text_only": {"questions": 1}}
    attacks = {
        name: attack.settings(enabled=True, **sections[name])
        for name, attack in load_attacks().items()
        if name in sections
    }
    evaluate = setup.params.evaluate.model_copy(update={"attacks": attacks, "max_new_tokens": 2})
    setup.params = setup.params.model_copy(update={"evaluate": evaluate})
    (early,) = all_of(setup, chosen("whole-evaluate"))
    assert early.note == "not measured: whole-unlearn comes before it, and hasn't ended. Measure it first."
    all_of(setup, chosen("whole-unlearn"))

    made, compute = [], perform.perform

    def stopped(attack, *rest):
        if made:
            raise KeyboardInterrupt
        made.append(attack.name)
        return compute(attack, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(perform, "perform", stopped)
        patch.setattr(clock, "EVERY", 0.01)
        with pytest.raises(KeyboardInterrupt):
            all_of(setup, chosen("whole-evaluate"))
    again, judged, whole = all_of(setup, chosen("whole-evaluate,whole-gate"))
    assert again.note.startswith("in 2 parts, the start of each included; attacks ")
    assert all(name in again.note for name in attacks)
    assert again.value + judged.value < whole.value
    assert not (setup.folder / "whole").exists()


def test_a_whole_run_that_a_stage_refuses_says_why(setup):
    sample = setup.params.sample.model_copy(update={"kinds": ["folder"], "folder": "nowhere"})
    setup.params = setup.params.model_copy(update={"sample": sample})
    row = all_of(setup, chosen("whole"))[0]
    assert row.value is None and row.note.startswith("not measured: ") and "nowhere" in row.note


def test_the_formula_counts_what_torch_counts(setup):
    # attention that torch's counter sees as products of matrices
    unlearn = setup.params.unlearn.model_copy(update={"attention": "eager"})
    setup.params = setup.params.model_copy(update={"unlearn": unlearn})
    step = forward_and_backward(setup, setup.section("viker", 2))
    step()  # the pictures' features are kept from now on
    with FlopCounterMode(display=False) as counter:
        step()
    sequence, answer = lengths(setup, 2)
    computed = step_operations(sizes_of(setup.bench.model), setup.params.unlearn.lora_r, 2, sequence, answer)
    assert computed == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_a_row_that_memory_is_too_small_for_is_reported_and_the_next_one_goes_on(setup):
    def too_large(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    def slow(_):
        fallback.record("kept prefixes", "it says so", "slower")
        return [Row("teacher", 2.0, "s", 30.0, 15.0, "naive / fast", note="on two")]

    setup.size = "7b"
    rows = all_of(setup, {"train-8": too_large, "teacher-8": slow, "machine": lambda _: [Row("m", 1.0)]})
    assert [(row.name, row.value, row.note) for row in rows] == [
        ("train-8", None, "out of memory"),
        ("teacher", 2.0, "on two; without kept prefixes: it says so"),
        ("m", 1.0, ""),
    ]
    assert table(rows).splitlines()[2:] == [
        "| train-8 |  |  |  |  |  |  | out of memory |",
        "| teacher | 2 s | 30.0 s | 15.0 | naive / fast | at least 20 |  | on two; without kept prefixes: it says so |",
        "| m | 1 |  |  |  |  |  |  |",
    ]


@pytest.mark.parametrize(("size", "millions", "layers"), [("7b", 7063, 32), ("13b", 13351, 40)])
def test_the_models_have_the_published_sizes(params, size, millions, layers):
    changed = with_model(size, params)
    model = planned_model(changed)[1]
    words, processor = vocabulary(changed.finetune.model, random.Random(0))
    model.config.image_token_id = processor.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    bench = questions(model, processor, words, 3, random.Random(0))
    sizes = sizes_of(model)
    assert (sizes.parameters // 10**6, sizes.layers, sizes.vocabulary) == (millions, layers, 32064)
    assert {len(bench.encoder.encode(sample)[0]) for sample in bench.samples} == {632}
    assert {bench.encoder.encode(sample)[0].count(model.config.image_token_id) for sample in bench.samples} == {576}


def test_an_adapter_on_a_twin_leaves_the_model_as_it_is(setup):
    before = [name for name, _ in setup.bench.model.named_parameters()]
    trainer = setup.trainer(setup.section("ga", 2), setup.taken(2))
    assert [name for name, _ in setup.bench.model.named_parameters()] == before
    frozen = {p.data_ptr() for p in trainer.model.parameters() if not p.requires_grad}
    assert frozen == {p.data_ptr() for p in setup.bench.model.parameters()}
    assert image_tokens(setup) == 16 and len(setup.taken(8)) == 8


def test_what_it_cannot_measure_is_said(params, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--size 7b needs a GPU"):
        check_size("7b")
    with pytest.raises(UserError, match="expected toy, 7b or 13b; did you mean '13b'"):
        check_size("13")
    with pytest.raises(UserError, match=r"nothing is named 'teach-8'; .*did you mean 'teacher-8'"):
        chosen("machine,teach-8")
    assert isinstance(CliRunner().invoke(app, ["--size", "13b"]).exception, UserError)


def test_rows_are_chosen_by_the_beginnings_of_their_names():
    assert list(chosen("teacher,machine")) == ["machine", "teacher-8", "teacher-32"]
    assert chosen("") == CASES


def test_ways_take_turns_and_the_first_round_is_not_counted():
    order = []
    costs = in_turns(torch.device("cpu"), 2, {name: lambda name=name: order.append(name) for name in "ab"})
    assert order == list("ababab")
    assert all(0 < cost.seconds < 1 and cost.peak is None for cost in costs.values())


def test_goals_are_those_of_a_size():
    assert goal("7b", "step, batch 2") and not goal("13b", "step, batch 2") and not goal("7b", "step, checkpointed")
    assert [figure(value) for value in (None, "yes", 1585.2, 57.04, 0.284)] == ["", "yes", "1,585", "57.0", "0.284"]
