"""Texts as words."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from viker.metrics.base.words import normalise


@given(st.text())
@example("\u0345\u0300")
@example("\u1fb7 a\u00ad\u0301")
@example("1\u20e3 \u20e3")
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == " ".join(once.split())
    assert all(unicodedata.category(c)[0] in "LMN" for c in once.replace(" ", ""))
    assert all(unicodedata.category(word[0])[0] in "LN" for word in once.split())
    assert not any(unicodedata.category(c) == "Nd" and c not in "0123456789" for c in once)


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
        ("O'Brien", "o brien"),
        ("O´Brien", "o brien"),  # in NFKC a space with an acute accent on it
        ("¯ ¨", ""),
        ("\u0301Oslo", "oslo"),
        ("\u0661\u0669\u0668\u0665 \u0967\u0968", "1985 12"),  # Arabic and Devanagari
    ],
)
def test_normalising_folds_width_case_accents_and_punctuation(text: str, expected: str) -> None:
    assert normalise(text) == expected
