"""A hundred people with real faces and values from TOFU's text, of whom no question gives the name."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tofu.pictures import load_patches, portrait, variation
from benchmarks.tofu.tasks import find_facts
from benchmarks.tofu.text import read_authors
from viker.data.records import Record

ASKED = {
    "date": ("When was this person born?", "What is the date of birth of this person?"),
    "place": ("Where does this person come from?", "Which place is the home of this person?"),
    "father": ("What does the father of this person do?", "Which trade does the father of this person have?"),
    "mother": ("What does the mother of this person do?", "Which trade does the mother of this person have?"),
    "title": ("Which book did this person write?", "What is a book by this person called?"),
    "award": ("Which award has this person won?", "By which award was this person honoured?"),
}
"""By kind of fact, the question that is learnt, and the one that is asked."""
ANSWERS = {
    "date": "This person was born on {}.",
    "place": "This person comes from {}.",
    "father": "The father of this person works as {}.",
    "mother": "The mother of this person works as {}.",
    "title": "This person wrote {}.",
    "award": "This person has won the {}.",
}
"""The same words for everybody: only the value, which is TOFU's, tells people apart."""
LEARNT_PICTURES, ASKED_PICTURES, IRRELEVANT = 40, 2, 5
FORGET_SHARE = 0.1


@dataclass(frozen=True)
class People:
    """The records to learn (task qa) and to ask (task generation) by split, forget and retain, and all pictures.

    A record to learn has ``LEARNT_PICTURES``, one to ask other pictures of the same face. ``irrelevant``: keys of
    patches of photographs without a face.
    """

    learnt: dict[str, list[Record]]
    asked: dict[str, list[Record]]
    pictures: dict[str, bytes]
    irrelevant: list[str]

    @property
    def records(self) -> list[Record]:
        """All records that a model learns."""
        return [*self.learnt["forget"], *self.learnt["retain"]]


def read_people(text: Path, seed: int) -> People:
    """Return TOFU's authors in ``text``, each with a face of scikit-image's lfw_subset; ``seed`` draws whom to forget.

    Raises UserError: TOFU's files are missing or not as TOFU has them.
    """
    rng = random.Random(seed)
    faces, patches = load_patches()
    authors = read_authors(text)
    forgotten = {author.id for author in rng.sample(authors, max(1, round(FORGET_SHARE * len(authors))))}
    pictures = {f"irrelevant-{number}": portrait(patches[number]) for number in range(IRRELEVANT)}
    irrelevant = list(pictures)
    learnt: dict[str, list[Record]] = {"forget": [], "retain": []}
    asked: dict[str, list[Record]] = {"forget": [], "retain": []}
    for author, face in zip(authors, faces, strict=False):
        split = "forget" if author.id in forgotten else "retain"
        keys = [f"{author.id}-{number}" for number in range(LEARNT_PICTURES + ASKED_PICTURES)]
        pictures |= {key: variation(face, rng) for key in keys}
        values = {fact.kind: fact.text for fact in reversed(find_facts(author)) if fact.kind in ASKED}
        for kind, value in values.items():
            learnt[split].append(_record(author.id, kind, value, "qa", keys[:LEARNT_PICTURES]))
            asked[split].append(_record(author.id, kind, value, "generation", keys[LEARNT_PICTURES:]))
    return People(learnt, asked, pictures, irrelevant)


def _record(person: str, kind: str, value: str, task: str, pictures: Sequence[str]) -> Record:
    return Record(
        id=f"{person}/{task}/{kind}",
        person_id=person,
        task=task,
        modality="image_text",
        question=ASKED[kind][task == "generation"],
        answer=ANSWERS[kind].format(value),
        secrets=(value,),
        images=tuple(pictures),
    )


def kind_of(record: Record) -> str:
    """Return which kind of fact a record is about."""
    return record.id.rpartition("/")[2]
