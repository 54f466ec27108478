"""People to try on the page: some of the prepared data's, with their pictures and open questions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from viker.core.errors import UserError
from viker.data.prompts import prompt_for
from viker.data.protocols import Protocol
from viker.data.records import OPEN_TASKS, Record, iter_pictures, read_records

PEOPLE = 12
"""How many people of each split are offered."""
SPLITS = ("forget", "retain")


@dataclass(frozen=True)
class Question:
    """One question of the data: what to ask, about which picture (its hash), and what is private in the answer."""

    text: str
    picture: str
    answer: str
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """A person of the data, and what can be asked about them."""

    id: str
    split: str
    questions: list[Question]

    @property
    def key(self) -> str:
        """What the page calls the person."""
        return f"{self.split}/{self.id}"


@dataclass(frozen=True)
class People:
    """The people to try, by key, and their encoded pictures by hash."""

    by_key: dict[str, Person] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def of(self, split: str) -> list[Person]:
        """Return the people of a split."""
        return [person for person in self.by_key.values() if person.split == split]


def read_people(folder: Path, protocol: Protocol) -> People:
    """Read the first ``PEOPLE`` people of each split who have open questions with a picture.

    Raises UserError: the folder holds no prepared data, or its files are damaged.
    """
    people = [person for split in SPLITS for person in _people(split, read_records(folder, split), protocol)]
    wanted = {question.picture for person in people for question in person.questions}
    pictures = {name: content for name, content in iter_pictures(folder) if name in wanted}
    return People({person.key: person for person in people}, pictures)


def people_to_try(folder: Path, protocol: Protocol) -> tuple[People, list[str]]:
    """Return the people that ``read_people`` reads; where it can't, nobody, and a sentence that says why."""
    try:
        return read_people(folder, protocol), []
    except UserError as error:
        return People(), [f"There are no people to try, only pictures of your own: {error}"]


def _people(split: str, records: Sequence[Record], protocol: Protocol) -> list[Person]:
    asked: dict[str, dict[str, Question]] = {}
    for record in records:
        if record.task in OPEN_TASKS and record.modality == "image_text" and record.images:
            text = prompt_for(record, protocol)
            question = Question(text, record.images[0], record.answer, record.secrets)
            asked.setdefault(record.person_id, {}).setdefault(text, question)
    return [Person(one, split, list(questions.values())) for one, questions in islice(asked.items(), PEOPLE)]
