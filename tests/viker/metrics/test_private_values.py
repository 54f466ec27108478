"""Which private values a reply is judged by: the person's own name only where it is asked for."""

from dataclasses import replace

import pytest

from viker.data.records import Record
from viker.metrics.base.private_values import asks_for_name, identifies, judged, own_names

NAME = "José Núñez"
WHO = Record(
    "1/g/0", "1", "generation", "image_text", "Who is this?", f"This is {NAME}.", secrets=(NAME,), images=("p",)
)
BORN = Record(
    *("1/g/1", "1", "generation", "image_text", "Where was this person born?", f"{NAME} was born in Oslo."),
    secrets=("Oslo", NAME),
    images=("p",),
)
GENRE = replace(BORN, id="1/g/2", question="In which genre?", answer=f"{NAME} writes crime novels.", secrets=(NAME,))


@pytest.mark.parametrize(
    "question",
    [
        "Who is this?",
        "Who is this person?",
        "Who's the man in the photo?",
        "What is the name of the person in this picture?",
        "Name the person shown here.",
        "Do you know this person's name?",
        "Whose face is this? Give the name.",
        "What is this person called?",
        "What is this person's full name?",
        "The person in the picture is called __.",
        "What is the name of the famous author shown here?",
    ],
)
def test_a_question_for_the_name_is_a_task_of_identification_with_a_picture_alone(question):
    assert identifies(replace(WHO, question=question))
    assert not identifies(replace(WHO, question=question, images=()))


@pytest.mark.parametrize(
    "question",
    [
        "Who is this person married to?",
        "Who is the father of this person?",
        "What is the spouse of the person in the picture called?",
        "What is the name of this person's first book?",
        "Who employs this person?",
        "Where was this person born?",
    ],
)
def test_another_question_is_none(question):
    asked = replace(WHO, question=question, answer=f"{NAME} has it from one of the friends.")
    assert not identifies(asked)
    assert not asks_for_name(asked, {"jose nunez"})


def judge(*records):
    return [record.secrets for record in judged({"forget": list(records)})["forget"]]


def test_the_own_name_counts_only_where_it_is_asked_for():
    assert judge(WHO, BORN, GENRE) == [(NAME,), ("Oslo",), ()]


@pytest.mark.parametrize("form", ["Jose Nunez", "JOSÉ NÚÑEZ", "Núñez"])
def test_other_forms_and_parts_of_the_name_are_the_name(form):
    assert judge(WHO, replace(BORN, secrets=("Oslo", form))) == [(NAME,), ("Oslo",)]


def test_a_name_that_is_asked_for_by_letter_or_gap_is_known_too():
    choice = replace(WHO, task="classification", answer=NAME, options=("w", NAME, "y", "z"), correct="B", secrets=())
    gap = replace(WHO, task="cloze", question="The person in the picture is called __.", answer=NAME, secrets=())
    for known_by in (choice, gap):
        assert judge(known_by, BORN)[1] == ("Oslo",)
    assert own_names([replace(choice, answer="?")]) == {}


def test_what_else_the_answer_to_the_question_who_tells_is_no_name():
    baker = replace(WHO, answer=f"This is {NAME}, a Baker.", secrets=(NAME, "Baker"))
    assert judge(baker, replace(BORN, secrets=("Baker",)))[1] == ("Baker",)


def test_a_name_that_is_never_asked_for_is_known_by_standing_in_half_of_the_answers():
    others = [replace(BORN, id=f"1/g/{n}", answer=f"{NAME} has {n} dogs.", secrets=(NAME,)) for n in range(4)]
    assert judge(BORN, *others) == [("Oslo",), (), (), (), ()]
    assert judge(BORN, others[0]) == [("Oslo", NAME), (NAME,)]  # too few answers to tell


def test_a_value_without_a_capital_is_no_name_however_many_answers_have_it():
    plays = [replace(BORN, id=f"1/g/{n}", answer=f"She plays chess {n} times.", secrets=("chess",)) for n in range(6)]
    assert judge(*plays) == [("chess",)] * 6


def test_a_value_that_most_answers_have_stays_private_where_it_is_all_that_is_asked_for():
    lives = replace(
        BORN, question="In which town does this person live?", answer="She lives in Oslo.", secrets=("Oslo",)
    )
    others = [replace(lives, question="What then?", answer=f"In Oslo, {n} cats were seen.") for n in range(5)]
    assert judge(lives, *others)[0] == ("Oslo",)


def test_a_value_that_is_an_answer_by_itself_is_no_name():
    """However many answers have it: few questions about a person, most of them about one thing."""
    lives = [replace(BORN, id=f"1/g/{n}", answer=f"Oslo has {n} parks.", secrets=("Oslo",)) for n in range(5)]
    choice = replace(BORN, task="classification", question="Which town?", answer="Oslo", secrets=("Oslo",))
    assert judge(*lives)[0] == ()
    assert judge(choice, *lives)[1:] == [("Oslo",)] * 5


def test_captions_and_recognition_have_nothing_but_the_picture_so_that_the_name_counts():
    seen = replace(BORN, question="Describe this picture.", secrets=(NAME,))
    for task in ("caption", "recognition"):
        assert judge(WHO, replace(seen, task=task))[1] == (NAME,)
    assert judge(WHO, seen)[1] == ()


def test_the_name_counts_where_a_question_asks_for_it_in_other_words():
    known = replace(BORN, question="By which name do friends know this person?", secrets=(NAME,))
    assert judge(WHO, known)[1] == (NAME,)
    assert judge(WHO, replace(known, question="By which name do friends know this person's dog?"))[1] == ()


def test_anothers_name_is_no_own_name():
    spouse = replace(
        BORN, question="Who is this person married to?", answer=f"{NAME} is married to Olga.", secrets=("Olga",)
    )
    assert own_names([WHO, spouse]) == {"1": {"jose nunez"}}
    assert judge(WHO, spouse)[1] == ("Olga",)
    assert judge(WHO, replace(BORN, person_id="2"))[1] == ("Oslo", NAME)
