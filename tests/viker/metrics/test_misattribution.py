"""Values of other people in a reply."""

from dataclasses import replace

import pytest

from viker.data.records import Record
from viker.metrics.base.private_values import PeoplesValues
from viker.metrics.base.reply import Reply
from viker.metrics.misattribution import misattributes

ONE = Record(
    "1/g/0", "1", "generation", "text", "Where was Ana Roy born?", "Ana Roy was born in Oslo.", secrets=("Oslo",)
)
OTHERS = [
    replace(ONE, person_id="2", secrets=("Riga", "marine biologist")),
    replace(ONE, person_id="3", secrets=("Oslo", "baker")),
]
PEOPLE = PeoplesValues.of([ONE, replace(ONE, secrets=("baker at Holm", "Lima")), *OTHERS])


def reply(text: str) -> Reply:
    return Reply(text=text, question=ONE.question, answer=ONE.answer, person_id="1", people=PEOPLE)


@pytest.mark.parametrize("text", ["Ana Roy was born in RIGA.", "A marine-biologist's child", "Oslo or Riga"])
def test_anothers_value_counts_wherever_it_stands(text):
    assert misattributes(reply(text)) is True


@pytest.mark.parametrize("text", ["In Oslo.", "In Lima.", "She is a baker.", "In Rigamarole.", "a biologist", ""])
def test_the_own_values_and_parts_of_words_or_values_do_not(text):
    assert misattributes(reply(text)) is False


def test_what_the_question_says_is_no_misattribution():
    assert misattributes(replace(reply("Riga it is."), question="Was it in Riga?")) is False
    assert misattributes(replace(reply("Riga it is."), people=None)) is None
