"""The truth ratio."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.metrics.truth_ratio import truth_ratio

LOGPROB = st.floats(-50, 0)


@given(LOGPROB, st.lists(LOGPROB, min_size=1, max_size=5))
def test_the_truth_ratio_is_the_ratio_of_geometric_means(right: float, wrong: list[float]) -> None:
    geometric = math.prod(math.exp(value / len(wrong)) for value in wrong)
    assert truth_ratio(right, wrong) == pytest.approx(geometric / math.exp(right), rel=1e-6)


@given(LOGPROB, st.integers(1, 5))
def test_the_truth_ratio_of_equals_is_1(value: float, count: int) -> None:
    assert truth_ratio(value, [value] * count) == pytest.approx(1)


def test_the_truth_ratio_of_a_model_that_knows_is_below_1() -> None:
    assert truth_ratio(-0.1, [-2.0, -3.0]) < 1 < truth_ratio(-3.0, [-0.1])
    assert truth_ratio(-2000.0, [0.0]) == math.inf


def test_the_truth_ratio_needs_a_wrong_answer() -> None:
    with pytest.raises(ValueError, match="no wrong answer"):
        truth_ratio(-1.0, [])
