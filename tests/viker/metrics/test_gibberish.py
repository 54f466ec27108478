"""Replies that are no language: by hand, on labelled replies, and on real text."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from viker.data.wordings import QUESTIONS, TEST_QUESTIONS
from viker.metrics.base.reply import Reply, Usual
from viker.metrics.base.word_salad import excess_bits, words_in
from viker.metrics.gibberish import is_degenerate, is_gibberish

DISTINCT = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=1, max_size=12, unique=True)


@given(DISTINCT.map(lambda words: words[:4]), DISTINCT, st.sampled_from([" ", ", ", "-", "\n"]))
def test_three_times_in_a_row_is_a_loop_and_twice_is_not(loop, before, join) -> None:
    start = [f"{word}0" for word in before]
    assert is_degenerate(join.join([*start, *loop * 3]))
    assert not is_degenerate(join.join([*start, *loop * 2]))


@given(DISTINCT.filter(lambda words: 4 < len(words) <= 8))
def test_longer_loops_count_within_a_sentence_and_sentences_may_come_again(words: list[str]) -> None:
    assert is_degenerate(" ".join(words * 3))
    assert not is_degenerate(". ".join([" ".join(words)] * 3))


@given(DISTINCT.filter(lambda words: len(words) > 8))
def test_loops_of_more_than_eight_words_do_not_count(words: list[str]) -> None:
    assert not is_degenerate(" ".join(words * 3))


@pytest.mark.parametrize("reply", ["", "  \n", "...", "?!?!", "___ _"])
def test_a_reply_without_a_word_is_gibberish(reply: str) -> None:
    assert is_degenerate(reply)


@pytest.mark.parametrize("reply", ["It cost $1,000,000,000.", "Call 55-55-55-55", "On 01/01/01.", "7"])
def test_a_number_is_one_word_and_no_loop(reply: str) -> None:
    assert not is_degenerate(reply)


LABELLED = json.loads((Path(__file__).parent / "gibberish_labels.json").read_text(encoding="utf-8"))["replies"]


def share_called_gibberish(label: bool) -> float:
    replies = [Reply(text=one["reply"]) for one in LABELLED if one["gibberish"] is label]
    return sum(map(is_gibberish, replies)) / len(replies)


def test_it_agrees_with_the_labels() -> None:
    """By the text alone: a run also goes by the vanilla model's surprise."""
    assert len(LABELLED) == 200
    assert share_called_gibberish(True) >= 0.85
    assert share_called_gibberish(False) <= 0.03


@pytest.mark.parametrize("reply", ["a find a fasasical d", "the of of and was a to in in"])
def test_word_salad_is_gibberish(reply: str) -> None:
    assert is_gibberish(Reply(text=reply))


def test_real_text_is_not() -> None:
    """Prose of this project's documentation, and what models are asked."""
    pages = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    lines = [line for line in re.sub(r"```.*?```", "", pages, flags=re.DOTALL).split("\n") if line[:1].isupper()]
    sentences = [one for line in lines for one in re.split(r"(?<=[.?]) ", line) if len(one.split()) > 4]
    # Prose alone: no code, links, figures, abbreviations or names of products.
    prose = [one for one in sentences if not re.search(r"[`()*\[\]|<>=λ\d]|[A-Z]{2}|[a-z][A-Z]", one)]
    assert len(prose) > 100
    wrong = [one for one in prose if is_gibberish(Reply(text=one))]
    assert len(wrong) / len(prose) <= 0.03, wrong
    asked = [text for texts in (*QUESTIONS.values(), *TEST_QUESTIONS.values()) for text in texts]
    assert not [text for text in asked if is_gibberish(Reply(text=text))]


def test_words_of_the_data_are_known_and_their_language_is_no_gibberish() -> None:
    dutch = "Deze vrouw werkt al jaren als vroedvrouw in een klein dorp."
    assert is_gibberish(Reply(text=dutch))
    usual = Usual(excess_bits=excess_bits(dutch), words=words_in(["Die man werkt in een grote stad."]))
    assert not is_gibberish(Reply(text=dutch, usual=usual))
    assert excess_bits("The zorblin was in a glimmerfast.") > excess_bits(
        "The zorblin was in a glimmerfast.", words_in(["a zorblin", "Glimmerfast"])
    )
