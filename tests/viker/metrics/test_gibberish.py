"""Replies that are no language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.metrics.gibberish import is_degenerate

DISTINCT = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=1, max_size=12, unique=True)


@given(DISTINCT.map(lambda words: words[:4]), DISTINCT, st.sampled_from([" ", ", ", "-", "\n"]))
def test_three_times_in_a_row_is_a_loop_and_twice_is_not(loop, before, join) -> None:
    start = [f"{word}0" for word in before]
    assert is_degenerate(join.join([*start, *loop * 3]))
    assert not is_degenerate(join.join([*start, *loop * 2]))


@given(DISTINCT.filter(lambda words: len(words) > 4))
def test_loops_of_more_than_four_words_do_not_count(words: list[str]) -> None:
    assert not is_degenerate(" ".join(words * 3))


@pytest.mark.parametrize("reply", ["", "  \n", "...", "?!?!", "___ _"])
def test_a_reply_without_a_word_is_gibberish(reply: str) -> None:
    assert is_degenerate(reply)


@pytest.mark.parametrize("reply", ["It cost $1,000,000,000.", "Call 55-55-55-55", "On 01/01/01.", "7"])
def test_a_number_is_one_word_and_no_loop(reply: str) -> None:
    assert not is_degenerate(reply)
