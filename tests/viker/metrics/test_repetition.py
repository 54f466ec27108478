"""Repetition within a reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.metrics.gibberish import is_degenerate
from viker.metrics.repetition import distinct_2, repetition

DISTINCT = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=1, max_size=12, unique=True)


@given(DISTINCT)
def test_words_that_never_repeat_are_neither_gibberish_nor_repetition(words: list[str]) -> None:
    assert not is_degenerate(" ".join(words))
    assert repetition(" ".join(words)) == 0


@given(st.text())
def test_repetition_stays_between_0_and_1(reply: str) -> None:
    assert 0 <= repetition(reply) < 1


def test_repetition_is_the_share_of_3_grams_seen_before() -> None:
    assert repetition("a b c a b c a b") == pytest.approx(1 - 3 / 6)
    assert repetition("a a a") == 0
    assert repetition("a a a a") == 0.5


@given(st.text())
def test_distinct_pairs_stay_between_0_and_1(reply: str) -> None:
    share = distinct_2(reply)
    assert share is None or 0 < share <= 1


def test_distinct_pairs_are_counted_by_hand() -> None:
    assert distinct_2("a b a b a") == 2 / 4
    assert distinct_2("alone") is None
