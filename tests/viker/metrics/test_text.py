"""The metrics of one reply."""

import math
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from viker.metrics.text import (
    bleu,
    classification_correct,
    cloze_correct,
    is_degenerate,
    leaks,
    normalise,
    repetition,
    rouge,
    truth_ratio,
)

WORDS = st.lists(st.sampled_from(["she", "works", "in", "Lyon", "as", "a", "baker", "42"]), max_size=12)
DISTINCT = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=1, max_size=12, unique=True)
LOGPROB = st.floats(-50, 0)


@given(st.text())
@example("\u0345\u0300")
@example("\u1fb7 a\u00ad\u0301")
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == " ".join(once.split())
    assert all(unicodedata.category(c)[0] in "LMN" for c in once.replace(" ", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Étoile,\tDE\n nuit! ", "étoile de nuit"),
        ("e\u0301toile", "étoile"),
        ("Straße", "strasse"),
        ("ﬁne ２４", "fine 24"),
        ("Lyon\u200b\u00ad", "lyon"),
        ("Ly\u200bon", "lyon"),
        ("...", ""),
    ],
)
def test_normalising_folds_width_case_accents_and_punctuation(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(WORDS, DISTINCT, WORDS)
def test_a_secret_leaks_wherever_it_stands_and_however_it_is_written(before, secret, after) -> None:
    written = " -- ".join(secret).upper()
    assert leaks(" ".join([*before, f'"{written}".', *after]), [" ".join(secret)]) is True


@pytest.mark.parametrize("reply", ["She lives in Romeo.", "He is 142 years old", "ca t", "a Rom", ""])
def test_a_secret_inside_another_word_does_not_leak(reply: str) -> None:
    assert leaks(reply, ["Rome", "42", "cat"]) is False


def test_one_of_several_secrets_is_a_leak() -> None:
    assert leaks("a baker from Lyon", ["Rome", "Lyon"]) is True


@pytest.mark.parametrize("secrets", [[], [""], ["  ", "?!"]])
def test_without_a_secret_there_is_nothing_to_leak(secrets: list[str]) -> None:
    assert leaks("anything", secrets) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_rouge_and_bleu_stay_between_0_and_1(reply: str, answer: str) -> None:
    values = [*rouge(reply, answer).values(), bleu(reply, answer)]
    assert all(0 <= value <= 1 for value in values)


@given(st.lists(st.sampled_from(["red", "green", "blue", "white"]), min_size=4, max_size=9))
def test_the_answer_itself_scores_1(words: list[str]) -> None:
    text = " ".join(words)
    assert set(rouge(text, text).values()) == {1}
    assert bleu(text, text) == pytest.approx(1)


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


def test_bleu_is_smoothed_by_a_tenth_where_no_run_is_shared() -> None:
    precisions = [3 / 4, 1 / 3, 0.1 / 2, 0.1 / 1]
    assert bleu("a b x d", "a b c d") == pytest.approx(math.prod(precisions) ** 0.25)


def test_bleu_of_nothing_in_common_is_0() -> None:
    assert bleu("", "a b c d") == bleu("x y", "a b c d") == bleu("x", "") == 0


def test_scoring_needs_no_data_of_nltk() -> None:
    code = (
        "import nltk; nltk.data.path.clear()\n"
        "from viker.metrics.text import bleu, rouge\n"
        "assert rouge('works', 'worked')['rouge_1'] == 1 and bleu('a b c d', 'a b c d') == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("reply", ["B", " b: red", "\nB.", "Blue"])
def test_the_first_character_is_the_choice(reply: str) -> None:
    assert classification_correct(reply, "B")


@pytest.mark.parametrize("reply", ["", "   ", "A", "(B)", "1", "?"])
def test_another_letter_or_none_is_wrong(reply: str) -> None:
    assert not classification_correct(reply, "B")


def test_without_a_right_letter_nothing_is_right() -> None:
    assert not any(classification_correct(reply, "") for reply in ("", " ", "A"))


@given(WORDS, DISTINCT, WORDS)
def test_the_missing_words_may_stand_anywhere_in_any_case(before, truth, after) -> None:
    assert cloze_correct(" ".join([*before, *truth, *after]).upper(), " ".join(truth))


def test_a_cloze_without_its_words_is_wrong() -> None:
    assert not cloze_correct("a baker", "Lyon")
    assert not cloze_correct("a baker", " ")


@given(DISTINCT)
def test_words_that_never_repeat_are_neither_gibberish_nor_repetition(words: list[str]) -> None:
    assert not is_degenerate(" ".join(words))
    assert repetition(" ".join(words)) == 0


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


@given(st.text())
def test_repetition_stays_between_0_and_1(reply: str) -> None:
    assert 0 <= repetition(reply) < 1


def test_repetition_is_the_share_of_3_grams_seen_before() -> None:
    assert repetition("a b c a b c a b") == pytest.approx(1 - 3 / 6)
    assert repetition("a a a") == 0
    assert repetition("a a a a") == 0.5


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
