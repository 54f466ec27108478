"""Cloze and choice questions that follow from open ones in a table of the user's own."""

from typing import Any

import pytest

from viker.data.canonical import canonical_text
from viker.data.formats.base.derived import add_derived
from viker.data.formats.base.tasks import has
from viker.data.prompts import LETTERS
from viker.data.records import Record

TOWNS = ("Oslo", "Lima", "Riga", "Cairo", "New Lima", "LIMA", "Accra")


def asked(person: str, value: str, question: str = "Born where?", **changes) -> list[Record]:
    answer = changes.pop("answer", f"This person was born in {value}.")
    fields: dict[str, Any] = {"modality": "text", "question": question, "answer": answer, "secrets": (value,)} | changes
    return [Record(id=f"{person}/{task}/0", person_id=person, task=task, **fields) for task in ("qa", "generation")]


@pytest.fixture
def splits() -> dict[str, list[Record]]:
    people = [asked(f"p{number}", town) for number, town in enumerate(TOWNS)]
    return {"forget": people[0], "retain": [record for own in people[1:] for record in own]}


def of(records: list[Record], task: str) -> list[Record]:
    return [record for record in records if record.task == task]


def test_a_cloze_is_the_answer_without_the_value_and_its_answer_the_value(splits):
    add_derived(splits)
    (cloze,) = of(splits["forget"], "cloze")
    assert (cloze.question, cloze.answer, cloze.secrets) == ("This person was born in __.", "Oslo", ("Oslo",))
    assert cloze.id == "p0/cloze/0" and cloze.modality == "text"


def test_of_several_values_each_gets_a_cloze_of_its_own():
    (qa, generation) = asked("a", "Oslo", answer="Born in Oslo, a baker.", secrets=("Oslo", "baker"))
    splits = {"forget": [qa, generation]}
    add_derived(splits)
    clozes = of(splits["forget"], "cloze")
    assert [one.question for one in clozes] == ["Born in __, a baker.", "Born in Oslo, a __."]
    assert [one.id for one in clozes] == ["a/cloze/0", "a/cloze/1"] and not of(splits["forget"], "classification")


def test_where_the_answer_is_the_value_alone_the_question_stands_before_the_blank():
    splits = {"forget": asked("a", "Oslo", answer="Oslo.")}
    add_derived(splits)
    assert of(splits["forget"], "cloze")[0].question == "Born where? __"


def test_a_choice_has_the_value_once_and_three_others_that_are_not_the_same_to_a_reader(splits):
    add_derived(splits)
    for record in [one for records in splits.values() for one in of(records, "classification")]:
        right = record.options[LETTERS.index(record.correct)]
        others = [option for option in record.options if option != right]
        assert len(record.options) == len({canonical_text(one).casefold() for one in record.options}) == len(LETTERS)
        assert right == record.answer == record.secrets[0] and set(others) < set(TOWNS)
        assert not any(has(other, right) or has(right, other) for other in others)
    assert not any("Oslo" in one.options for one in of(splits["retain"], "classification")), "of a person to forget"
    letters = {one.correct for one in of(splits["retain"], "classification")}
    assert len(letters) > 1, "the right one isn't always at the same place"


def test_the_wrong_options_are_wrong_answers_for_likelihoods_too_but_given_ones_stay(splits):
    given = asked("q", "Turin", perturbed_answers=("Elsewhere.",))
    splits["retain"] += given
    add_derived(splits)
    for task in ("qa", "generation"):
        (record,) = of(splits["forget"], task)
        options = of(splits["forget"], "classification")[0].options
        assert set(record.perturbed_answers) == {f"This person was born in {one}." for one in options if one != "Oslo"}
    assert all(record.perturbed_answers == ("Elsewhere.",) for record in of(splits["retain"], "qa")[-1:])


def test_options_of_the_data_are_kept_and_too_few_values_give_no_choice(splits):
    own = Record("p0/classification/0", "p0", "classification", "text", "Born where?", "Oslo", options=TOWNS[:4])
    splits["forget"].append(own)
    splits["retain"] += [one for n in range(3) for one in asked(f"r{n}", f"size {n}", "Shoe size?")]
    add_derived(splits)
    assert of(splits["forget"], "classification") == [own]
    assert not [one for one in of(splits["retain"], "classification") if one.question == "Shoe size?"]


def test_a_question_that_names_the_person_has_the_options_of_the_one_that_does_not(splits):
    splits["forget"] += asked("p0", "Oslo", "Where was Ada born?", answer="Ada was born in Oslo.")
    splits["forget"] += asked("p0", "baker", "What is Ada's trade?", answer="Ada is a baker.")
    add_derived(splits)
    first, second = of(splits["forget"], "classification")
    assert (second.question, second.answer) == ("Where was Ada born?", "Oslo") and second.options == first.options


def test_the_same_data_give_the_same_questions_whatever_their_order(splits):
    backwards = {name: list(reversed(records)) for name, records in splits.items()}
    add_derived(splits)
    add_derived(backwards)
    for name in splits:
        first, second = (sorted(map(repr, one[name])) for one in (splits, backwards))
        assert first == second
