"""From the replies under attack to numbers: a row a reply, a block an attack."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from viker.attacks.rates import RATES, guessed, rates
from viker.attacks.subject import Subject
from viker.data.records import Record
from viker.metrics.leakage import leaks
from viker.models.chat import Sample


@dataclass(frozen=True)
class Question:
    """A record, how it is asked here, and which variant of the attack that is."""

    record: Record
    sample: Sample
    variant: str = ""


@dataclass(frozen=True)
class Attacked:
    """What an attack came to: ``rows`` (see ``row``), and numbers that only this attack has.

    ``others``: the rows that such numbers were counted from, by what stands in their column ``attack``.
    """

    rows: pd.DataFrame
    extras: dict[str, Any] = field(default_factory=dict)
    others: dict[str, pd.DataFrame] = field(default_factory=dict)


def row(question: Question, said: Sequence[str]) -> dict[str, Any]:
    """Return one row: who and what was asked, all replies, the first that leaks or else the first, whether one does.

    ``chance``: what guessing gives, see ``viker.attacks.rates.guessed``.
    """
    record = question.record
    leaky = [reply for reply in said if leaks(reply, record.secrets)]
    return {
        "variant": question.variant,
        "person_id": record.person_id,
        "record_id": record.id,
        "picture": question.sample.picture,
        "question": question.sample.prompt,
        "answer": record.answer,
        "reply": (leaky or list(said))[0],
        "replies": list(said),
        "leaked": bool(leaky),
        "chance": guessed(record, said),
    }


def ask(subject: Subject, questions: Sequence[Question], label: str) -> pd.DataFrame:
    """Return the rows of the greedy replies to ``questions``."""
    said = subject.replies([question.sample for question in questions], label)
    return pd.DataFrame([row(question, [reply]) for question, reply in zip(questions, said, strict=True)])


def block(attacked: Attacked, seed: int) -> dict[str, Any]:
    """Return the numbers of an attack on one model, see ``viker.attacks.rates.rates``, and its own besides."""
    return rates(attacked.rows, seed) | attacked.extras


def empty_block(reason: str) -> dict[str, Any]:
    """Return the block of an attack that the data don't allow: no numbers, and why."""
    nothing: dict[str, Any] = dict.fromkeys(RATES)
    return {**nothing, "intervals": dict.fromkeys(RATES), "samples": 0, "people": 0, "reason": reason}
