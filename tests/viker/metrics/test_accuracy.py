"""Accuracy on letters and gaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.metrics.accuracy import CLASSIFICATION_ACCURACY, classification_correct, closest, cloze_correct
from viker.metrics.base.reply import Reply

WORDS = st.lists(st.sampled_from(["she", "works", "in", "Lyon", "as", "a", "baker", "42"]), max_size=12)
DISTINCT = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=1, max_size=12, unique=True)


@pytest.mark.parametrize("reply", ["B", " b: red", "\nB.", "Blue"])
def test_the_first_character_is_the_choice(reply: str) -> None:
    assert classification_correct(reply, "B")


@pytest.mark.parametrize("reply", ["", "   ", "A", "(B)", "1", "?"])
def test_another_letter_or_none_is_wrong(reply: str) -> None:
    assert not classification_correct(reply, "B")


def test_without_a_right_letter_nothing_is_right() -> None:
    assert not any(classification_correct(reply, "") for reply in ("", " ", "A"))


OPTIONS = ("a baker in Lyon", "a judge in Oslo", "a pilot in Lima", "a miner in Riga")


@pytest.mark.parametrize(
    ("reply", "chosen"), [("A Judge from Oslo.", 1), ("It is the pilot.", 2), ("a miner in Riga", 3), ("", 0)]
)
def test_of_a_list_the_option_most_like_the_reply_is_chosen(reply: str, chosen: int) -> None:
    assert closest(reply, OPTIONS) == OPTIONS[chosen]
    of_reply = CLASSIFICATION_ACCURACY.of_reply
    assert of_reply and of_reply(Reply(text=reply, answer=OPTIONS[chosen], options=OPTIONS))
    assert not of_reply(Reply(text=reply, answer=OPTIONS[chosen - 1], options=OPTIONS))


@given(WORDS, DISTINCT, WORDS)
def test_the_missing_words_may_stand_anywhere_in_any_case(before, truth, after) -> None:
    assert cloze_correct(" ".join([*before, *truth, *after]).upper(), " ".join(truth))


def test_a_cloze_without_its_words_is_wrong() -> None:
    assert not cloze_correct("a baker", "Lyon")
    assert not cloze_correct("a baker", " ")
