"""What is asked, by the benchmarks' protocols."""

from dataclasses import replace

from viker.data.protocols import load_protocol
from viker.data.records import Record
from viker.evaluation.questions import build_questions

CHOICE = Record("1/c/0", "1", "classification", "image_text", "Which?", "x", ("w", "x", "y", "z"), "B", images=("p",))
OPEN = Record("1/g/0", "1", "generation", "image_text", "Where?", "In Oslo.", secrets=("Oslo",), images=("p", "q"))
BLANK = Record("1/m/0", "1", "cloze", "text", "Born in __, not __.", "Oslo")
NONE: dict[str, list[Record]] = {"forget": [], "test": [], "retain": [], "real": []}


def of(person: str, record: Record) -> Record:
    return replace(record, id=record.id.replace("1/", f"{person}/"), person_id=person)


def ask(protocol="viker", **splits):
    return build_questions(NONE | splits, load_protocol(protocol))


def test_a_choice_comes_after_an_example_from_another_person_who_is_not_asked():
    retain = [of("2", CHOICE), of("2", OPEN), of("3", replace(CHOICE, question="What?", correct="D"))]
    asked = ask(forget=[CHOICE], retain=retain)
    assert [(q.record.person_id, q.record.task) for q in asked if q.record.task == "classification"] == [
        ("1", "classification"),
        ("3", "classification"),
    ]
    assert "2" in {q.record.person_id for q in asked}
    expected = (
        "Which?\nA: w\nB: x\nC: y\nD: z\nAnswer with one letter.\nB\n\n"
        "What?\nA: w\nB: x\nC: y\nD: z\nAnswer with one letter."
    )
    assert asked[-1].sample.prompt == expected
    assert asked[-1].sample.answer == "D"


def test_the_example_has_the_modality_of_the_question():
    told = replace(CHOICE, modality="text", question="Told?", images=())
    asked = ask(forget=[CHOICE, told], retain=[of("2", replace(told, question="Told of 2?"))])
    assert asked[0].sample.prompt.startswith("Which?")
    assert asked[1].sample.prompt.startswith("Told of 2?")


def test_a_cloze_has_its_blank_and_asks_for_the_missing_words_only():
    assert ask(forget=[BLANK])[0].sample.prompt == "Born in [Blank], not [Blank].\nGive only the missing words."


def test_an_open_question_is_asked_with_each_picture_and_for_one_sentence_where_wanted():
    assert [(q.sample.picture, q.sample.prompt) for q in ask(forget=[OPEN])] == [("p", "Where?"), ("q", "Where?")]
    assert ask("mllmu", forget=[OPEN])[0].sample.prompt == "Where? Answer in one sentence."
    seen = replace(OPEN, task="caption")
    assert ask("mllmu", forget=[seen])[0].sample.prompt == "Where?"


def test_training_questions_are_not_asked():
    assert ask(forget=[replace(OPEN, task="qa")]) == []


def test_all_that_is_private_of_a_person_counts_but_what_the_question_says():
    other = replace(OPEN, id="1/g/1", question="Trade of Oslo's child?", answer="Baker.", secrets=("baker",))
    asked = ask(forget=[OPEN, other], retain=[of("2", replace(OPEN, secrets=("Lima",)))])
    assert asked[0].known == ("Oslo", "baker")
    assert asked[2].known == ("baker",)
    assert asked[-1].known == ("Lima",)


def test_the_people_shown_as_examples_are_not_asked_that_task():
    """MLLMU-Bench shows all choices about one person, and the gaps about two."""
    retain = [of(person, replace(BLANK, answer=person)) for person in ("2", "2", "3", "4")]
    retain += [of(person, CHOICE) for person in ("2", "2", "3")]
    asked = ask("mllmu", forget=[BLANK, CHOICE], retain=retain)
    assert [(q.record.person_id, q.record.task) for q in asked] == [
        ("1", "cloze"),
        ("1", "classification"),
        ("4", "cloze"),
        ("3", "classification"),
    ]
    gap, choice = asked[0].sample.prompt, asked[1].sample.prompt
    assert [line for line in gap.split("\n") if line in ("2", "3", "4")] == ["2", "2", "3"]
    assert gap.count("[Blank], not") == 4 and choice.count("Which?") == 3


def test_a_choice_from_a_list_has_no_letters_and_no_example():
    listed = replace(CHOICE, correct="", answer="x")
    asked, *_ = ask("viker", forget=[listed], retain=[of("2", CHOICE), of("2", listed), of("3", CHOICE)])
    assert asked.sample.prompt == "Which?\n- w\n- x\n- y\n- z\nAnswer with one entry of the list."
    assert asked.sample.answer == "x"


def test_every_task_has_its_own_length_of_reply():
    assert [load_protocol(name).longest("caption") for name in ("clear", "umu", "mllmu")] == [300, 200, 50]
