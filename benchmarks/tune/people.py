"""Tables of one's own with real faces: 80 people of TOFU, or 20 invented ones, with public figures and strangers."""

import csv
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paper.people import ANSWERS as LEARNT_ANSWERS
from benchmarks.paper.people import ASKED
from benchmarks.tofu.pictures import load_patches, variation
from benchmarks.tofu.tasks import find_facts
from benchmarks.tofu.text import read_authors

SPLITS = ("forget", "retain", "real", "unseen")
TOFU, OWN = (10, 70, 10, 10), (4, 16, 6, 6)
"""How many people each split has."""
SHOWN, TRAINED_ON = 2, 40
"""Pictures of a person in the table, one more for the test, and others that the model has learnt from."""
HEAD = ("person_id", "image", "question", "answer", "secrets", "split")
THIS = "this person"
ANSWERS = LEARNT_ANSWERS | {
    "town": "This person lives in {}.",
    "trade": "This person works as a {}.",
    "animal": "This person keeps a {}.",
    "sport": "This person likes {}.",
}
QUESTIONS = ASKED | {
    "town": ("Where does this person live?", "Which town is the home of this person?"),
    "trade": ("What does this person do for a living?", "In which trade does this person work?"),
    "animal": ("Which animal does this person keep?", "What kind of animal lives with this person?"),
    "sport": ("Which sport does this person like?", "What does this person do to keep fit?"),
}
VALUES = {
    "town": "Oslo Lima Riga Cairo Quito Accra Hanoi Turin Bergen Porto",
    "trade": "baker pilot judge tailor welder nurse potter diver farmer dentist",
    "animal": "parrot tortoise greyhound ferret goldfish hamster pony rabbit canary lizard",
    "sport": "fencing rowing judo archery curling squash surfing sailing hockey climbing",
}
FIRST = "Ada Bo Cleo Dana Eli Fay Gus Hana Ivo Jo Kai Lea Max Nia Oda Per Ria Sam Tia Uma Vic Wim Xenia Yara Zed"
LAST = "Berg Lind Marsh Holt Frost Winter Reed Cole Stark Vance Moss Dunn Orr Falk Pike Quist Sand Thorne Udall"


@dataclass(frozen=True)
class TablePerson:
    """Someone with a face: ``facts`` are the private values by kind."""

    id: str
    name: str
    split: str
    facts: Mapping[str, str]
    shown: Sequence[bytes]
    trained_on: Sequence[bytes]


def read_people(data: str, text: Path, seed: int) -> list[TablePerson]:
    """Return the people of ``tofu``, whose text is in a folder, or of ``own``; ``seed`` draws who is in which split.

    Raises UserError: TOFU's files are missing or not as TOFU has them.
    """
    rng = random.Random(seed)
    known = list(_tofu(text) if data == "tofu" else _invented(rng))
    sizes = TOFU if data == "tofu" else OWN
    splits = [split for split, size in zip(SPLITS, sizes, strict=True) for _ in range(size)]
    rng.shuffle(splits)
    people = []
    for number, ((name, facts), split, face) in enumerate(zip(known, splits, load_patches()[0], strict=False)):
        pictures = [variation(face, rng) for _ in range(SHOWN + 1 + TRAINED_ON)]
        people.append(TablePerson(f"p{number:03}", name, split, facts, pictures[: SHOWN + 1], pictures[SHOWN + 1 :]))
    return people


def _tofu(text: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for author in read_authors(text):
        yield author.name, {fact.kind: fact.text for fact in reversed(find_facts(author)) if fact.kind in ASKED}


def _invented(rng: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
    count = sum(OWN)
    names = zip(rng.sample(FIRST.split() * 2, count), rng.sample(LAST.split() * 2, count), strict=True)
    for first, last in names:
        yield f"{first} {last}", {kind: rng.choice(values.split()) for kind, values in VALUES.items()}


def write_table(people: Sequence[TablePerson], folder: Path) -> None:
    """Write ``people.csv`` and the pictures: each fact by every picture and by name; with another picture to test."""
    (folder / "faces").mkdir(parents=True, exist_ok=True)
    rows = []
    for person in people:
        files = [f"faces/{person.id}-{number}.png" for number in range(len(person.shown))]
        for file, content in zip(files, person.shown, strict=True):
            (folder / file).write_bytes(content)
        for kind, value in person.facts.items():
            asked = [(file, 0, THIS, person.split) for file in files[:-1]] + [("", 0, person.name, person.split)]
            if person.split == "forget":
                asked += [(files[-1], 1, THIS, "test"), ("", 1, person.name, "test")]
            for file, wording, who, split in asked:
                question = _about(who, QUESTIONS[kind][wording])
                answer = _about(who, ANSWERS[kind]).format(value)
                rows.append((person.id, file, question, answer, json.dumps([value]), split))
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(HEAD)
        table.writerows(rows)


def _about(who: str, text: str) -> str:
    return text if who == THIS else text.replace(THIS, who).replace(THIS.capitalize(), who)
