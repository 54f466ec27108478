"""The whole engine on a GPU that is emulated: nothing of it is left on the CPU, and it seldom waits."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import benchmarks.gpu.setup
from benchmarks.evaluate import TOKENS
from benchmarks.gpu.asking import as_in_stages, asked, reply
from benchmarks.gpu.cases import CASES, measure
from benchmarks.gpu.setup import Setup, build, card
from benchmarks.unlearn.model import IMAGES
from components.contract.params import load_params
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from tests.components.evaluate.whole import evaluate, settings, write_inputs
from tests.conftest import ROOT
from tests.emulated_gpu import emulated_gpu
from tests.viker.methods.checks import settings_of
from viker.attacks.base.attack import load_attacks
from viker.generation import fixed_steps
from viker.generation.beginnings import shared_beginnings
from viker.methods.base.method import methods
from viker.models.fast_path import fallbacks
from viker.models.shared_prefix import Prefixes
from viker.teacher import distributions
from viker.teacher.distributions import to_tensors
from viker.teacher.visual import compute_teachers
from viker.training.settings import StopWhen


@pytest.fixture
def gpu():
    with emulated_gpu() as emulated:
        yield emulated


def toy(samples: int) -> Setup:
    return build("toy", load_params(ROOT / "params.yaml"), samples, 1, Path("unused"), {})


def test_it_refuses_what_a_gpu_refuses(gpu):
    here, there = torch.ones(3), torch.ones(3, device="cuda")
    assert there.is_cuda and (there + 1).device.type == "cuda" and not there.cpu().is_cuda and not here.is_cuda
    for refused in (lambda: here + there, lambda: torch.stack([there, here]), lambda: here[there.long()]):
        with pytest.raises(RuntimeError, match="device"):
            refused()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    for refused in (lambda: there * there.sum().item(), lambda: there + here.to("cuda"), lambda: there[there > 0]):
        with pytest.raises(RuntimeError, match="capturing"):
            fixed_steps.cuda_capture(refused)
    assert fixed_steps.cuda_capture(lambda: 2 * there)().is_cuda
    assert (there + torch.tensor(1.0)).is_cuda, "a number on the CPU goes with any device"
    assert there[torch.tensor([0, 2])].is_cuda and torch.nn.Linear(2, 2).to("cuda").weight.is_cuda


def test_every_row_of_the_benchmark_runs_there_by_its_fast_path(gpu, monkeypatch):
    monkeypatch.setattr(benchmarks.gpu.setup, "product_ceiling", lambda *_: 1e12)
    setup = toy(6)
    setup.bench.model.to(torch.bfloat16)
    assert card() == "emulated" and setup.device.type == "cuda"
    cases = {name: case for name, case in CASES.items() if name != "machine" and not name.startswith("whole")}
    rows = [row for _, of_case in measure(setup, cases, str) for row in of_case]
    assert len(rows) > len(cases)
    assert [row for row in rows if "without" in row.note or "memory" in row.note] == []


@pytest.mark.parametrize("examples", [0, 80])
def test_a_reply_waits_for_the_gpu_once_in_eight_steps(gpu, examples):
    setup = toy(4)
    bench = replace(asked(setup), model=as_in_stages(setup))
    shown = " ".join(bench.samples[0].prompt.split()[:1] * examples)
    prompts = [f"{shown} {one.prompt}".strip() for one in bench.samples]
    samples = [replace(bench.samples[0], prompt=prompt) for prompt in prompts]
    assert bool(shared_beginnings(Prefixes(bench.model, bench.encoder, samples).prompts)) == bool(examples)
    bench = replace(bench, samples=samples)
    reply(bench)
    assert fallbacks() == []
    gpu.waits.clear()
    reply(bench)
    steps = {place: count for place, count in gpu.waits.items() if "fixed_steps" in place}
    assert steps == {"viker/generation/fixed_steps.py, decode_in_fixed_steps": TOKENS // 8 + 1 + 1}


@pytest.mark.parametrize(("compact", "tensors"), [(False, 1), (True, 3)])
def test_the_teacher_waits_for_its_samples_and_not_for_each_image(gpu, monkeypatch, compact, tensors):
    setup = toy(4)
    if compact:
        monkeypatch.setattr(distributions, "LARGE", 100)
    given = setup.bench.model, setup.bench.encoder, setup.bench.samples, [IMAGES] * 4
    compute_teachers(*given)
    gpu.waits.clear()
    teachers = compute_teachers(*given)
    held = [tensor for teacher in teachers for tensor in to_tensors(teacher).values()]
    assert not any(tensor.is_cuda for tensor in held) and len(IMAGES) > 1
    assert sum(count for place, count in gpu.waits.items() if "teacher" in place) == len(held) == tensors * 4


def test_evaluate_finds_there_what_it_finds_on_the_cpu(tmp_path, prepared):
    write_inputs(tmp_path, prepared)
    small = {"questions": 3, "steps": [1], "samples": 2, "iterations": 2, "variants": 4, "followed": 2, "pictures": 1}
    attacks = {
        name: {field: small[field] for field in small if field in attack.settings.model_fields}
        for name, attack in load_attacks().items()
    }
    on_cpu = evaluate(tmp_path, prepared, settings(attacks=attacks))
    with emulated_gpu():
        there = evaluate(tmp_path, prepared, settings(attacks=attacks))
        assert fallbacks() == []
    by_outputs = {"inputs", "digest"}
    assert_close(
        {key: on_cpu[key] for key in there.keys() - by_outputs}, {key: there[key] for key in there.keys() - by_outputs}
    )


CHANGES = {
    "as it is": {},
    **{name: {"method": settings_of(methods()[name])} for name in ("rmu", "mmunlearner", "idk")},
    "refuse": {"target": "refuse"},
    "stop": {"stop_when": StopWhen(key_token_probability=0.001)},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_unlearn_learns_there_what_it_learns_on_the_cpu(tmp_path, prepared, params, changes):
    write_inputs(tmp_path, prepared)
    sample(params.sample, 1, prepared, tmp_path / "images")
    short = params.unlearn.model_copy(update={"epochs": 1, **changes})

    def learnt(name):
        inputs = (prepared, tmp_path / "vanilla", tmp_path / "images")
        out, records, state = (tmp_path / name / part for part in ("adapter", "records", "state"))
        unlearn(short, 7, 1, Arguments(*inputs, out, records, state))
        return pd.read_csv(records / "loss.csv")

    curve = learnt("cpu")
    with emulated_gpu() as gpu:
        there = learnt("gpu")
        assert fallbacks() == [] and len(there) > 3
    pd.testing.assert_frame_equal(there, curve, rtol=1e-3, atol=1e-5)
    assert gpu.waits["viker/training/trainer.py, compute_loss"] == len(there)


def assert_close(value, expected, rounding=1e-5):
    """Assert that numbers differ by no more than rounding, and that all else is equal.

    An AUC counts pairs of samples, and rounding turns those that are nearly alike.
    """
    if isinstance(expected, dict):
        for key in expected:
            assert_close(value[key], expected[key], 0.01 if key.endswith("_auc") else rounding)
    elif isinstance(expected, list) and len(expected) == len(value):
        for one, other in zip(value, expected, strict=True):
            assert_close(one, other, rounding)
    elif isinstance(expected, float):
        assert value == pytest.approx(expected, rel=1e-3, abs=rounding)
    else:
        assert value == expected
