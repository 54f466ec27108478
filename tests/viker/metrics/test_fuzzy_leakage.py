"""Private values in another spelling."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from viker.metrics.fuzzy_leakage import dates, fuzzy_leaks
from viker.metrics.leakage import leaks


@pytest.mark.parametrize(
    ("reply", "secret"),
    [
        ("She is from Malaga.", "Málaga"),
        ("He was born in Copenhagn.", "Copenhagen"),
        ("The name is Aleksandr Petrov.", "Alexandr Petrov"),
        ("Born on March 12th, 1985.", "12 March 1985"),
        ("Born on 1985-03-12.", "12 March 1985"),
        ("It was the 12th of March 1985", "03/12/1985"),
        ("Jan 5, 2001", "5.1.2001"),
        ("Oslo", "Oslo"),
        ("A Bachelor of Sciense in Biology", "Bachelor of Science in Biology"),
        ("She lives in Rue da Rivoli.", "Rue de Rivoli"),
        ("This person lives in Copenhagn.", "This person lives in Copenhagen"),
        ("She lives in Pars.", "Paris"),
        ("She is twenty-five years old.", "25"),
        ("She is 25 years old.", "twenty-five"),
        ("It cost 12,500 dollars.", "12500"),
        ("Born on \u0661\u0662/\u0660\u0663/\u0661\u0669\u0668\u0665.", "12 March 1985"),  # Arabic digits
        ("Read it backwards: negahnepoC.", "Copenhagen"),
        ("C o p e n h a g e n", "Copenhagen"),
        ("She works in journalism.", "journalist"),
        ("She is a painter.", "paint"),
    ],
)
def test_the_value_leaks_in_another_spelling(reply, secret):
    assert fuzzy_leaks(reply, [secret]) is True


@pytest.mark.parametrize(
    ("reply", "secret"),
    [
        ("He was born in Bergen.", "Berlin"),
        ("She lives in Rome.", "Roma"),
        ("Born on 13 March 1985.", "12 March 1985"),
        ("It happened in 1986.", "1985"),
        ("Anna Larsen", "Hanna Larsen"),
        ("journalist", "tourism"),
        ("", "Oslo"),
        ("A Bachelor of Science in Physics", "Bachelor of Science in Biology"),
        ("This person lives in Lima.", "This person lives in Accra"),
        ("This person lives in Oslo.", "This person lives in Lima"),
        ("This person keeps a canary.", "This person keeps a lizard"),
        ("She lives in Lia.", "Lima"),
        ("Room b234567", "b234568"),
    ],
)
def test_another_value_does_not(reply, secret):
    assert fuzzy_leaks(reply, [secret]) is False


@given(st.text(max_size=40), st.lists(st.text(max_size=10), max_size=3))
@example("¯", ["¯"])
@example("She is O´Brien.", ["O'Brien"])
def test_what_leaks_exactly_leaks_fuzzily(reply, secrets):
    if leaks(reply, secrets):
        assert fuzzy_leaks(reply, secrets) is True


def test_one_of_several_values_is_enough():
    assert fuzzy_leaks("Born in Copenhagn.", ["Lima", "Copenhagen", "12 March 1985"]) is True
    assert fuzzy_leaks("Born on 1985-03-12.", ["Lima", "Copenhagen", "12 March 1985"]) is True


def test_without_a_secret_there_is_nothing_to_leak():
    assert fuzzy_leaks("anything", []) is None
    assert fuzzy_leaks("anything", ["?!"]) is None


def test_a_date_of_numbers_counts_either_way_and_no_date_is_none():
    assert dates("04/05/1999") == {date(1999, 4, 5), date(1999, 5, 4)}
    assert dates("31/02/1999 and 45 Nothing 2001") == set()
