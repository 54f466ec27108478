"""The truth ratio."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viker.metrics.authors_cases import NEEDS_CASES, cases
from tests.viker.metrics.replies import table
from viker.metrics.base.aggregate import measure
from viker.metrics.base.reply import Reply
from viker.metrics.truth_ratio import closer_to_1, right_share, true_better, truth_ratio

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


@pytest.mark.parametrize("known", [{"right": -1.0}, {"wrong": (-1.0,)}, {}])
def test_a_reply_of_which_right_or_wrong_answers_are_not_known_has_none(known: dict) -> None:
    assert measure(table([Reply(text="?", **known)]), seed=7)["forget"]["truth_ratio"] is None


@given(LOGPROB, st.lists(LOGPROB, min_size=1, max_size=5))
def test_the_right_share_is_that_of_the_probabilities(right: float, wrong: list[float]) -> None:
    of_wrong = math.exp(math.fsum(wrong) / len(wrong))
    expected = math.exp(right) / (math.exp(right) + of_wrong)
    assert right_share(truth_ratio(right, wrong)) == pytest.approx(expected, rel=1e-6)


def test_each_form_by_hand() -> None:
    assert [closer_to_1(r) for r in (0.25, 1.0, 4.0, math.inf, 0.0)] == [0.25, 1, 0.25, 0, 0]
    assert [true_better(r) for r in (0.25, 1.0, 4.0, math.inf, 0.0)] == [0.75, 0, 0, 0, 1]
    assert [right_share(r) for r in (0.25, 1.0, 4.0, math.inf, 0.0)] == pytest.approx([0.8, 0.5, 0.2, 0, 1])


@NEEDS_CASES
def test_each_form_is_open_unlearnings() -> None:
    given_case = cases()["truth_ratio"]
    pairs = zip(given_case["paraphrased"], given_case["perturbed"], strict=True)
    replies = [Reply(text="", right=right, wrong=tuple(wrong)) for right, wrong in pairs]
    figures = measure(table(replies), seed=7)["forget"]
    expected = {name: form["aggregate"] for name, form in given_case["expected"].items()}
    assert figures["truth_ratio"] == pytest.approx(expected["closer_to_1_better"], abs=1e-6)
    assert figures["truth_ratio_true_better"] == pytest.approx(expected["true_better"], abs=1e-6)
    assert figures["truth_ratio_prob_mean"] == pytest.approx(expected["prob_mean"], abs=1e-6)
