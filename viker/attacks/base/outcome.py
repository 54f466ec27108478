"""From an attack's attempts to its outcome: one row per attempt, one block of numbers per attack and model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

from viker.attacks.base.rates import RATES, fact_of, guessing_chance
from viker.attacks.base.targets import NotApplicable
from viker.metrics.leakage import leaks

if TYPE_CHECKING:
    import pandas as pd

    from viker.attacks.base.subject import Subject
    from viker.data.records import Record
    from viker.data.samples import Sample


Leaks = Callable[[str, Sequence[str]], bool | None]


@dataclass(frozen=True)
class Attempt:
    """A record, how its private value is asked for, and which variant of the attack that is."""

    record: Record
    sample: Sample
    variant: str = ""


@dataclass(frozen=True)
class Outcome:
    """The rows of an attack on one model, one per attempt, see ``reply_row``.

    ``numbers``: what only this attack measures, for its block of the metrics. ``side_rows``: the tables that
    ``Attack.side_blocks`` are counted from, by their names.
    """

    rows: pd.DataFrame
    numbers: dict[str, Any] = field(default_factory=dict)
    side_rows: dict[str, pd.DataFrame] = field(default_factory=dict)


def reply_row(
    attempt: Attempt, replies: Sequence[str], chance: float | None = None, leaks: Leaks = leaks
) -> dict[str, Any]:
    """Return one row: what was asked, all replies, the first that leaks or else the first, and how many leak.

    ``replies``: at least one. ``chance``: what guessing gives, 0..1; None: ``guessing_chance`` of these replies.
    ``leaks``: as the attack has it.
    """
    record = attempt.record
    leaking = [reply for reply in replies if leaks(reply, record.secrets)]
    return {
        "variant": attempt.variant,
        "person_id": record.person_id,
        "record_id": record.id,
        "fact": fact_of(record),
        "picture": attempt.sample.picture,
        "question": attempt.sample.asked,
        "answer": record.answer,
        "reply": (leaking or list(replies))[0],
        "replies": list(replies),
        "leaked": bool(leaking),
        "leaks": len(leaking),
        "chance": guessing_chance(record, replies, leaks) if chance is None else chance,
    }


def reply_rows(
    attempts: Sequence[Attempt],
    replies: Iterable[Sequence[str]],
    chances: Iterable[float | None] = repeat(None),
    leaks: Leaks = leaks,
) -> pd.DataFrame:
    """Return one row per attempt, see ``reply_row``, from the replies to each and what guessing gives for each."""
    import pandas as pd

    return pd.DataFrame(list(map(reply_row, attempts, replies, chances, repeat(leaks))))


def ask(subject: Subject, attempts: Sequence[Attempt], label: str) -> pd.DataFrame:
    """Return the rows of the greedy replies to ``attempts``. Raises NotApplicable: there are no attempts."""
    if not attempts:
        raise NotApplicable
    replies = subject.replies([attempt.sample for attempt in attempts], label)
    return reply_rows(attempts, ([reply] for reply in replies))


def empty_block(reason: str) -> dict[str, Any]:
    """Return the block of an attack that the data don't allow: no numbers, and why."""
    nothing: dict[str, Any] = dict.fromkeys(RATES)
    return nothing | {"intervals": dict.fromkeys(RATES), "samples": 0, "people": 0, "reason": reason}
