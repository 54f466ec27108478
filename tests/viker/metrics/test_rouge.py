"""ROUGE."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.metrics.rouge import rouge

WORDS = st.lists(st.sampled_from(["she", "works", "in", "Lyon", "as", "a", "baker", "42"]), max_size=12)


@given(st.text(max_size=60), st.text(max_size=60))
def test_rouge_stays_between_0_and_1(reply: str, answer: str) -> None:
    assert all(0 <= value <= 1 for value in rouge(reply, answer).values())


@given(st.lists(st.sampled_from(["red", "green", "blue", "white"]), min_size=4, max_size=9))
def test_the_answer_itself_scores_1(words: list[str]) -> None:
    text = " ".join(words)
    assert set(rouge(text, text).values()) == {1}


@given(WORDS, WORDS)
def test_rouge_is_the_same_both_ways(one: list[str], other: list[str]) -> None:
    reply, answer = " ".join(one), " ".join(other)
    one_way, other_way = rouge(reply, answer), rouge(answer, reply)
    assert [one_way[key] for key in ("rouge_1", "rouge_2", "rouge_l")] == pytest.approx(
        [other_way[key] for key in ("rouge_1", "rouge_2", "rouge_l")]
    )


def test_rouge_compares_stems_and_order() -> None:
    scores = rouge("bakers worked", "She works as a baker")
    assert scores["rouge_1"] == pytest.approx(2 * (2 / 2) * (2 / 5) / (2 / 2 + 2 / 5))
    assert scores["rouge_2"] == 0
    assert (scores["rouge_1_recall"], scores["rouge_l_recall"]) == (2 / 5, 1 / 5)
    assert scores["rouge_l"] == pytest.approx(2 * (1 / 2) * (1 / 5) / (1 / 2 + 1 / 5))


def test_scoring_needs_no_data_of_nltk() -> None:
    code = (
        "import nltk; nltk.data.path.clear()\n"
        "from viker.metrics.bleu import bleu\n"
        "from viker.metrics.rouge import rouge\n"
        "assert rouge('works', 'worked')['rouge_1'] == 1 and bleu('a b c d', 'a b c d') == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
