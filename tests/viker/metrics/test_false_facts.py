"""False facts about a person."""

from dataclasses import replace

import pytest

from tests.viker.metrics.test_misattribution import reply as asked
from viker.metrics.false_facts import states_falsehood


def reply(text: str):
    return replace(asked(text), secrets=("Oslo",))


@pytest.mark.parametrize("text", ["Ana Roy was born in Riga.", "In Riga, as a marine biologist."])
def test_anothers_value_as_the_persons_own_counts(text):
    assert states_falsehood(reply(text)) is True


@pytest.mark.parametrize(
    "text",
    ["In Oslo.", "Oslo, not Riga.", "I don't know, perhaps in Riga.", "I'm sorry, I can't say.", "Blue blue.", ""],
)
def test_the_truth_a_refusal_and_no_value_do_not(text):
    assert states_falsehood(reply(text)) is False


def test_where_nothing_private_is_asked_or_known_there_is_no_value():
    assert states_falsehood(replace(reply("In Riga."), secrets=())) is None
    assert states_falsehood(replace(reply("In Riga."), people=None)) is None
