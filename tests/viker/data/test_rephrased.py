"""Facts to forget, asked for by name: which, in which words, and under which IDs."""

import pytest

from viker.data.records import Record
from viker.data.rephrased import BY_NAME, by_name, own_reply, source_id


def asked(number: int, question: str, answer: str, *values: str, images: tuple[str, ...] = ("p",), person="7"):
    shown = {"images": images, "modality": "image_text" if images else "text"}
    return Record(f"{person}/qa/{number}", person, "qa", question=question, answer=answer, secrets=values, **shown)


@pytest.mark.parametrize(
    ("question", "answer", "named_question", "named_answer"),
    [
        ("Where was this person born?", "This person: Oslo.", "Where was Ana Roy born?", "Ana Roy: Oslo."),
        ("What is this person's trade?", "Oslo.", "What is Ana Roy's trade?", "Oslo."),
        ("Where does the woman in the photo live?", "In Oslo.", "Where does Ana Roy live?", "In Oslo."),
        ("Where is the person shown in this picture from?", "Oslo", "Where is Ana Roy from?", "Oslo"),
        ("Is that man here from Oslo?", "Yes, Oslo.", "Is Ana Roy from Oslo?", "Yes, Oslo."),
    ],
)  # fmt: skip
def test_the_name_takes_the_place_of_the_words_for_the_person_in_the_picture(
    question, answer, named_question, named_answer
) -> None:
    record = asked(0, question, answer, "Oslo")
    (named,) = by_name([record], {record.id: "Ana Roy"})
    assert (named.question, named.answer) == (named_question, named_answer)
    assert (named.images, named.modality, named.secrets) == ((), "text", ("Oslo",))
    assert named.id == record.id + BY_NAME and source_id(named.id) == record.id


def test_a_backslash_in_a_name_is_no_reference() -> None:
    record = asked(0, "Where was this person born?", "Oslo.", "Oslo")
    assert by_name([record], {record.id: r"A\1na"})[0].question == r"Where was A\1na born?"


def test_what_is_asked_without_a_picture_already_and_what_no_name_fits_is_not_asked_by_name() -> None:
    records = [
        asked(0, "Where was this person born?", "In Oslo.", "Oslo"),
        asked(1, "Where was Ana Roy born?", "In Oslo.", "Oslo", images=()),
        asked(2, "What does this person do?", "A baker.", "baker"),
        asked(3, "What is the trade of this person?", "A baker.", "baker", images=("q",)),
        asked(4, "Which pet is it?", "A dog.", "dog"),
        asked(5, "What does this person wear?", "A hat."),
        asked(0, "Where was this person born?", "In Oslo.", "Oslo", person="8"),
        asked(0, "What does this person do?", "A baker.", "baker", person="9"),
    ]
    names = {record.id: f"Ana {record.person_id}" for record in records if record.person_id != "9"}
    assert [(one.id, one.question) for one in by_name(records, names)] == [
        ("7/qa/2#by_name", "What does Ana 7 do?"),
        ("8/qa/0#by_name", "Where was Ana 8 born?"),
    ]


def test_a_models_own_reply_takes_the_answers_place_and_leads_back_to_the_record() -> None:
    record = asked(0, "Where was this person born?", "In Oslo.", "Oslo")
    (named,) = by_name([record], {record.id: "Ana Roy"})
    for one in (record, named):
        replied = own_reply(one, "Oslo it was.")
        assert (replied.question, replied.answer) == (one.question, "Oslo it was.")
        assert replied.id not in (record.id, named.id) and source_id(replied.id) == record.id
    assert source_id(record.id) == record.id
