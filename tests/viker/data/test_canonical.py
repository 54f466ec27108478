"""The canonical form of text: one for all spellings that look alike, and never another text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.data.canonical import canonical_text, folded, spelling_in, with_code_points

NAME = "José Núñez"
SPELLINGS = {
    "NFD": unicodedata.normalize("NFD", NAME),
    "zero-width space": "Jo\u200bsé Núñez",
    "byte order mark": f"\ufeff{NAME}",
    "right-to-left mark": f"{NAME}\u200f",
    "isolate": f"\u2066{NAME}\u2069",
    "soft hyphen": "Jo\u00adsé Núñez",
    "variation selector": "José\ufe0f Núñez",
    "grapheme joiner between letter and accent": "Jose\u034f\u0301 Núñez",
    "control character": "Jo\x08sé Núñez",
    "white space at the ends": f"\u00a0 {NAME}\t\n",
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_spellings_that_look_alike_have_one_form(kind):
    assert SPELLINGS[kind] != NAME
    assert canonical_text(SPELLINGS[kind]) == NAME


@pytest.mark.parametrize("other", ["jose nunez", "Jose Nunez", "José  Núñez", "José-Núñez", "JoséNúñez"])
def test_what_looks_different_stays_different(other):
    assert canonical_text(other) != NAME


@pytest.mark.parametrize("alike", ["JOSÉ NÚÑEZ", "José\u00a0Núñez", "JoséNúñez", "\uff2aosé Núñez"])
def test_case_width_and_white_space_are_what_people_confuse(alike):
    assert canonical_text(alike) != NAME
    assert folded(alike) == folded(NAME)


@given(st.text())
def test_the_form_of_a_form_is_itself(text):
    assert canonical_text(canonical_text(text)) == canonical_text(text)


@pytest.mark.parametrize("visible", ["\u0601", "ß", "א", "क्", "👩", "x\u2063y"[0]])
def test_what_is_visible_stays(visible):
    assert canonical_text(visible) == visible


def test_a_value_is_found_as_the_text_spells_it():
    decomposed = unicodedata.normalize("NFD", "Málaga")
    assert spelling_in(f"Born in {decomposed}.", "Málaga") == decomposed
    assert spelling_in("Born in Má\u200blaga.", "málaga") == "Má\u200blaga"
    assert spelling_in("Born in Málaga.", "MÁLAGA") == "MÁLAGA"
    assert spelling_in("Born in Malaga.", "Málaga") == spelling_in("", "Málaga") == spelling_in("x", "\u200b") == ""


@given(st.text(max_size=20), st.text(max_size=8), st.text(max_size=20))
def test_a_part_of_a_text_is_found_or_is_no_part_in_canonical_form(before, value, after):
    found = spelling_in(before + value + after, value)
    assert canonical_text(found).casefold() in ("", canonical_text(value).casefold())


def test_a_long_text_is_cut_in_a_message():
    assert with_code_points("e\u0301") == "'é' (U+0065 U+0301)".replace("é", "e\u0301")
    assert len(with_code_points("x" * 1000).partition("(")[2]) < 300
