"""The kinds of words, and the bits that one takes behind others."""

import math

import pytest

from viker.metrics.base.word_salad import FEWEST_WORDS, ORDER, Language, english, excess_bits

TABLE = {
    "a name of two words is one, a number too": ("Ana Roy has 2 000 cats.", ["word", "Name", "has", "0", "s", "."]),
    "a known word is no name where a sentence begins": ("Cats. Cats see Paris", ["s", ".", "s", "word", "Name"]),
    "elsewhere it is": ("The Cats", ["the", "Name"]),
    "what is short for two words": ("It's here", ["it", "is", "there"]),
    "and with not": ("she can't and won't", ["i", "can", "not", "and", "can", "not"]),
    "a name's s is no is": ("See Ana's cats", ["word", "Name", "s"]),
    "marks": ("Oslo, Rome; who?", ["Name", ",", "Name", ".", "who", "."]),
    "acronyms, up to five letters": ("the NATOS and UNICEF", ["the", "ABC", "and", "miXed"]),
    "letters in mixed case, and with digits": ("the xY and b2b", ["the", "miXed", "and", "miXed"]),
    "single letters": ("the x and Q", ["the", "letter", "and", "letter"]),
    "endings, where three letters are left": ("painting quickly ring", ["ing", "ly", "word"]),
    "an unknown word": ("the zqxjk", ["the", "unknown"]),
    "known by its stem or without a prefix": ("kindness rerun", ["s", "word"]),
    "each part of a word with a hyphen is known": ("the well-known zqx-known", ["the", "word", "unknown"]),
}


@pytest.mark.parametrize(("text", "kinds"), TABLE.values(), ids=TABLE)
def test_each_word_has_a_kind(text: str, kinds: list[str]) -> None:
    assert english().kinds(text) == kinds


def test_words_of_the_data_are_known_though_english_has_them_not() -> None:
    assert english().kinds("the zqxjk zqxjks", {"zqxjk"}) == ["the", "word", "s"]
    assert english().kinds("the xY", {"xy"}) == ["the", "Name"]
    assert english().kinds("Zqxjk.", {"zqxjk"}) == ["word", "."]


@pytest.mark.parametrize("before", [[], ["the"], ["the", "word"], ["never seen"], ["word", "never seen"]])
def test_the_probabilities_of_all_kinds_behind_some_words_are_1(before: list[str]) -> None:
    """One kind among them that was never seen."""
    of_before = english().bits_per_word(before) * len(before) if before else 0.0
    total = 0.0
    for kind in [*english().counts[""], "another"]:
        bits = english().bits_per_word([*before, kind]) * (len(before) + 1)
        total += 2 ** (of_before - bits)
    assert total == pytest.approx(1)


def test_what_followed_often_takes_few_bits() -> None:
    """By hand: 'a' 3 times and 'b' once, behind 'a' once 'b'; an escape has the share types / (count + types)."""
    language = Language({}, (), {"": {"a": 3, "b": 1}, "a": {"b": 1}})
    alone = {"a": (3 + 2 / 3) / 6, "b": (1 + 2 / 3) / 6, "c": 2 / 3 / 6}
    for kind, p in alone.items():
        assert language.bits_per_word([kind]) == pytest.approx(-math.log2(p))
    behind = -math.log2(alone["a"]) - math.log2((1 + alone["b"]) / 2)
    assert language.bits_per_word(["a", "b"]) == pytest.approx(behind / 2)
    assert ORDER == 3


def test_of_a_single_word_nothing_is_told() -> None:
    assert FEWEST_WORDS == 2 and excess_bits("Oslo") == -math.inf
    assert math.isfinite(excess_bits("Oslo."))
