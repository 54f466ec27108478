"""What is attacked: the forget people's open questions, and what an attacker may use besides."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from viker.attacks.base.rates import decoys, difference
from viker.data.tasks import OPEN_TASKS, SPLITS
from viker.metrics.base.private_values import judged
from viker.metrics.leakage import leaks

if TYPE_CHECKING:
    from pathlib import Path

    from viker.data.records import Record

OPEN_QUESTION = "open question about a forget person with a picture and a private value in its answer"
"""What most attacks need."""
RETAIN_QUESTION = "open question about a retain person with a picture and a private value in its answer"


class NotApplicable(Exception):
    """The data lack what an attack needs: what the message says, or ``Attack.needs`` where there is no message."""


@dataclass(frozen=True)
class Targets:
    """The records of the splits; of ``test`` only those of forget people.

    Their private values are those that a reply is judged by, see ``private_values.judged``.
    """

    forget: Sequence[Record]
    test: Sequence[Record]
    retain: Sequence[Record]
    real: Sequence[Record]

    def questions(self, most: int, seed: int) -> list[Record]:
        """Return at most ``most`` open questions with a picture and a secret about forget people.

        Raises NotApplicable: there is none.
        """
        records = [record for record in open_records(self.forget) if record.images]
        if not records:
            raise NotApplicable(OPEN_QUESTION)
        return spread(records, most, seed)


def read_targets(prepared: Path) -> Targets:
    """Read the splits of a prepared folder."""
    from viker.data.records import read_records

    records = judged({split: read_records(prepared, split) for split in SPLITS})
    forget, test, retain, real = (records[split] for split in ("forget", "test", "retain", "real"))
    people = {record.person_id for record in forget}
    return Targets(forget, [r for r in test if r.person_id in people], retain, real)


def open_records(records: Sequence[Record]) -> list[Record]:
    """Return the records that are answered in free text and have a private value in the answer."""
    return [record for record in records if record.task in OPEN_TASKS and leaks("", record.secrets) is not None]


def spread(records: Sequence[Record], most: int, seed: int) -> list[Record]:
    """Return at most ``most`` records, drawn in turn from each person, in their order among ``records``."""
    rng = random.Random(seed)
    remaining: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        remaining[record.person_id].append(i)
    people = list(remaining)
    rng.shuffle(people)
    for indices in remaining.values():
        rng.shuffle(indices)
    chosen: list[int] = []
    while len(chosen) < most and any(remaining.values()):
        for person in people:
            if remaining[person] and len(chosen) < most:
                chosen.append(remaining[person].pop())
    return [records[i] for i in sorted(chosen)]


def invented(record: Record) -> Record | None:
    """Return the record with a wrong answer and a decoy as its secret; None where it has no decoy."""
    wrong_values = decoys(record)
    for answer in record.perturbed_answers:
        value = difference(record.answer, answer)
        if value in wrong_values:
            return replace(record, answer=answer, secrets=(value,), perturbed_answers=())
    return None


def words_before_secret(record: Record) -> str:
    """Return the words of the answer before the first of its secrets; "" where there are none."""
    answer = record.answer.casefold()
    starts = [start for secret in record.secrets if (start := answer.find(secret.casefold())) >= 0]
    return record.answer[: min(starts, default=0)].rstrip()
