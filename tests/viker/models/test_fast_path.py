"""A fast path is verified once per model; where it fails, the plain way is taken, with one warning and a record."""

import math

import pytest
import torch

from viker.models import fast_path
from viker.models.fast_path import FastPath, NoFastPath

PATH = FastPath("short cut", "everything is computed again", "a step", float32=1e-4, half=5e-2)
OTHER = FastPath("short cut", "everything is computed again", "another step", float32=1e-4, half=5e-2)
ONES = torch.ones(3, 4)


@pytest.fixture
def model():
    return torch.nn.Linear(2, 2)


def never():
    raise AssertionError("in float32 nothing is computed again")


def refuse(reason="it looks ahead"):
    raise NoFastPath(reason)


def test_logits_are_compared_once_per_model_and_step(model):
    compared = []
    for step in (PATH, PATH, OTHER):
        step.verify(model, ONES, lambda: compared.append("plain") or ONES, never)
    PATH.verify(torch.nn.Linear(2, 2), ONES, lambda: compared.append("plain") or ONES, never)
    assert len(compared) == 3


@pytest.mark.parametrize(
    ("error", "dtype", "agree"),
    [
        (0.9e-4, torch.float32, True),
        (1.1e-4, torch.float32, False),
        (4e-2, torch.bfloat16, True),
        (6e-2, torch.bfloat16, False),
        (math.nan, torch.float32, False),
    ],
)
def test_what_rounding_explains_depends_on_the_precision(error, dtype, agree):
    assert (PATH.difference(ONES * (1 + error), ONES.to(dtype)) is None) == agree


def test_a_model_that_failed_is_not_tried_again_and_the_warning_comes_once(model, caplog):
    tried = []

    def fast():
        tried.append("fast")
        PATH.verify(model, 2 * ONES, lambda: ONES, never)

    assert [PATH.take(model, fast, lambda: "plain") for _ in range(3)] == ["plain"] * 3
    assert tried == ["fast"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "everything is computed again, which is slower: with the short cut" in caplog.text
    assert OTHER.take(model, lambda: "fast", lambda: "plain") == "fast"


def test_inputs_that_do_not_fit_leave_the_model_its_fast_path(model):
    assert PATH.take(model, refuse, lambda: "plain") == "plain"
    assert PATH.take(model, lambda: "fast", lambda: "plain") == "fast"


def test_fallbacks_are_recorded_once_each_until_the_next_run(model, caplog):
    assert fast_path.engine_record() == {}
    for step in (PATH, OTHER, PATH):
        step.take(model, refuse, lambda: None)
    PATH.take(model, lambda: refuse("its window is short"), lambda: None)
    reasons = [{"what": "short cut", "reason": reason} for reason in ("it looks ahead", "its window is short")]
    assert fast_path.fallbacks() == reasons
    assert fast_path.engine_record() == {"engine": {"fallbacks": reasons}}
    assert len(caplog.records) == 2
    fast_path.start_run()
    assert fast_path.fallbacks() == []
    PATH.take(model, lambda: refuse("its window is short"), lambda: None)
    fast_path.record_again(reasons)  # of the part of the run before it was killed
    assert fast_path.fallbacks() == reasons


def test_an_adapter_is_verified_with_the_model_under_it(small_model):
    model, _ = small_model

    class Around:
        def get_base_model(self):
            return model

    PATH.verify(Around(), ONES, lambda: ONES, never)
    PATH.verify(model, 2 * ONES, lambda: ONES, never)
