"""What is attacked: the forget people's open questions, and what an attacker may use besides."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from viker.attacks.rates import decoys, difference
from viker.data.records import OPEN_TASKS, Record, read_records
from viker.metrics.leakage import leaks


class NotApplicable(Exception):
    """The data lack what an attack needs; the message says what."""


@dataclass(frozen=True)
class Targets:
    """The records of the splits; of ``test`` only those of forget people."""

    forget: Sequence[Record]
    test: Sequence[Record]
    retain: Sequence[Record]
    real: Sequence[Record]

    def questions(self, most: int, seed: int) -> list[Record]:
        """Return at most ``most`` open questions with a picture and a secret about forget people.

        Raises:
            NotApplicable: there is none.
        """
        found = [r for r in open_records(self.forget) if r.images]
        if not found:
            raise NotApplicable("no open question with a picture has a private value in its answer")
        return spread(found, most, seed)


def read_targets(prepared: Path) -> Targets:
    """Read the splits of a prepared folder."""
    forget, test, retain, real = (read_records(prepared, split) for split in ("forget", "test", "retain", "real"))
    people = {record.person_id for record in forget}
    return Targets(forget, [r for r in test if r.person_id in people], retain, real)


def open_records(records: Sequence[Record]) -> list[Record]:
    """Return the records that are answered in free text and have a private value in the answer."""
    return [r for r in records if r.task in OPEN_TASKS and leaks("", r.secrets) is not None]


def spread(records: Sequence[Record], most: int, seed: int) -> list[Record]:
    """Return at most ``most`` records, drawn in turn from each person, in their order among ``records``."""
    rng = random.Random(seed)
    rest: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        rest[record.person_id].append(i)
    people = list(rest)
    rng.shuffle(people)
    for numbers in rest.values():
        rng.shuffle(numbers)
    chosen: list[int] = []
    while len(chosen) < most and any(rest.values()):
        for person in people:
            if rest[person] and len(chosen) < most:
                chosen.append(rest[person].pop())
    return [records[i] for i in sorted(chosen)]


def invented(record: Record) -> Record | None:
    """Return the record with a wrong answer, and a decoy as its secret, or None where it has none."""
    known = decoys(record)
    for other in record.perturbed_answers:
        value = difference(record.answer, other)
        if value in known:
            return replace(record, answer=other, secrets=(value,), perturbed_answers=())
    return None
