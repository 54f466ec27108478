"""BLEU."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.metrics.bleu import bleu


@given(st.text(max_size=60), st.text(max_size=60))
def test_bleu_stays_between_0_and_1(reply: str, answer: str) -> None:
    assert 0 <= bleu(reply, answer) <= 1


@given(st.lists(st.sampled_from(["red", "green", "blue", "white"]), min_size=4, max_size=9))
def test_the_answer_itself_scores_1(words: list[str]) -> None:
    assert bleu(" ".join(words), " ".join(words)) == pytest.approx(1)


def test_bleu_is_smoothed_by_a_tenth_where_no_run_is_shared() -> None:
    precisions = [3 / 4, 1 / 3, 0.1 / 2, 0.1 / 1]
    assert bleu("a b x d", "a b c d") == pytest.approx(math.prod(precisions) ** 0.25)


def test_bleu_of_nothing_in_common_is_0() -> None:
    assert bleu("", "a b c d") == bleu("x y", "a b c d") == bleu("x", "") == 0
