"""Names found in records, and names of nobody."""

from dataclasses import replace

import pytest

from viker.data.names import INVENTED, about, names_in_text, names_of_nobody
from viker.data.records import Record


def record(person: str, number: int, question: str, answer: str, task: str = "qa", images: tuple[str, ...] = ()):
    return Record(f"{person}/{task}/{number}", person, task, "text", question, answer, images=images)


RECORDS = [
    record("1", 0, "Where was Ana Roy born?", "Ana Roy was born in Oslo."),
    record("1", 1, "Does Ana Roy like Oslo?", "Ana Roy does."),
    record("1", 2, "What is Ana Roy's trade?", "She is a printer."),
    record("2", 0, "Where was Bo van Dam born?", "Bo van Dam was born in Rome."),
    record("2", 1, "Who employs Bo van Dam?", "The city does."),
    record("3", 0, "Where is it?", "In Rome."),
    record("4", 0, "Which of these did the author write?", "The Long Way."),
    record("4", 0, "Who is this?", "Hina Ameen", "recognition", ("p",)),
]


def test_names_are_found_in_what_a_persons_questions_have_in_common():
    found = names_in_text(RECORDS)
    assert {found[r.id] for r in RECORDS[:3]} == {"Ana Roy"}
    assert found["2/qa/0"] in ("Bo", "Dam")  # a particle ends a run of capitalised words
    assert "3/qa/0" not in found
    assert found["4/qa/0"] == "Hina Ameen" and "4/recognition/0" not in found


def test_names_are_looked_for_in_questions_about_pictures_where_there_are_no_others():
    shown = [replace(one, images=("p",)) for one in RECORDS[:2]]
    assert set(names_in_text(shown).values()) == {"Ana Roy"}
    unnamed = record("1", 9, "Where was this person born?", "In Oslo.", images=("p",))
    assert names_in_text([*RECORDS[:3], *[unnamed] * 9])["1/qa/9"] == "Ana Roy"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana Roy was born in Oslo.", "Maren Tosk was born in Oslo."),
        ("Ana's trade? Roy works; Royal, Banana.", "Maren's trade? Tosk works; Royal, Banana."),
        ("Nobody else.", "Nobody else."),
    ],
)
def test_a_text_is_made_one_about_another(text, expected):
    assert about(text, "Ana Roy", "Maren Tosk") == expected
    assert about(expected, "Maren Tosk", "Ana Roy") == text


NAMES = {f"{i}/qa/0": name for i, name in enumerate(("Ana Roy", "Bo Lind", "Cy Mars", "Di Roy", "Ed Noor"))}


class TestNamesOfNobody:
    def test_they_are_put_together_from_retained_names_and_nobody_bears_one(self):
        drawn = names_of_nobody(NAMES, {"0/qa/0"}, 7)
        assert len(set(drawn)) == 5 and not set(drawn) & set(NAMES.values())
        assert all(
            first in ("Bo", "Cy", "Ed") and last in ("Lind", "Mars", "Noor") for first, last in map(str.split, drawn)
        )
        assert drawn == names_of_nobody(NAMES, {"0/qa/0"}, 7)

    def test_without_enough_names_they_are_invented(self):
        assert names_of_nobody(NAMES, {"0/qa/0", "1/qa/0"}, 7) == INVENTED
