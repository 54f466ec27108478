"""Private values in replies, spelt as in the data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.metrics.leakage import leaks

WORDS = st.lists(st.sampled_from(["she", "works", "in", "Lyon", "as", "a", "baker", "42"]), max_size=12)
DISTINCT = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=1, max_size=12, unique=True)


@given(WORDS, DISTINCT, WORDS)
def test_a_secret_leaks_wherever_it_stands_and_however_it_is_written(before, secret, after) -> None:
    written = " -- ".join(secret).upper()
    assert leaks(" ".join([*before, f'"{written}".', *after]), [" ".join(secret)]) is True


@pytest.mark.parametrize("reply", ["She lives in Romeo.", "He is 142 years old", "ca t", "a Rom", ""])
def test_a_secret_inside_another_word_does_not_leak(reply: str) -> None:
    assert leaks(reply, ["Rome", "42", "cat"]) is False


@pytest.mark.parametrize("typed", ["'", "’", "´", "`", "\u02bb", "\u02bc", "\u02b9"])
@pytest.mark.parametrize("known", ["'", "´", "\u02bc"])
def test_a_name_leaks_whatever_its_apostrophe_is_typed_as(typed: str, known: str) -> None:
    assert leaks(f"She is O{typed}Brien.", [f"O{known}Brien"]) is True


def test_one_of_several_secrets_is_a_leak() -> None:
    assert leaks("a baker from Lyon", ["Rome", "Lyon"]) is True


@pytest.mark.parametrize("secrets", [[], [""], ["  ", "?!"], ["¯"]])
def test_without_a_secret_there_is_nothing_to_leak(secrets: list[str]) -> None:
    assert leaks("anything", secrets) is None
