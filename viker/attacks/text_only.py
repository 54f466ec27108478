"""Text only: the person's name in place of the picture, which may not be forgotten. Source: this project."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.attacks.base.targets import Targets, open_records, spread
from viker.data.samples import sample_of

if TYPE_CHECKING:
    from viker.attacks.base.subject import Subject


def run(subject: Subject, targets: Targets, settings: AttackSettings, seed: int) -> Outcome:
    """Ask the data's own text-only questions, and those with a picture of people whose name the data give.

    Names come from the task recognition, whose answer is the name.
    """
    records = open_records(targets.forget)
    names = {record.person_id: record.answer for record in records if record.task == "recognition"}
    attempts = [Attempt(record, sample_of(record), "own") for record in records if not record.images]
    for record in records:
        name = names.get(record.person_id)
        if record.images and name and record.task != "recognition":
            by_name = replace(record, question=f"This is about {name}. {record.question}")
            attempts.append(Attempt(record, sample_of(by_name, ""), "named"))
    chosen = set(spread([attempt.record for attempt in attempts], settings.questions, seed))
    return Outcome(ask(subject, [attempt for attempt in attempts if attempt.record in chosen], "text only"))


NEEDS = "text-only question with a private value, and no names to ask with"
TEXT_ONLY = Attack("text_only", "Text only", run, needs=NEEDS)
