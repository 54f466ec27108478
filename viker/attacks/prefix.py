"""Prefix: the answer's first words as the model's own. Does it go on from there? Source: this project."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.attacks.base.targets import Targets, words_before_secret
from viker.data.samples import sample_of

if TYPE_CHECKING:
    from viker.attacks.base.subject import Subject


def run(subject: Subject, targets: Targets, settings: AttackSettings, seed: int) -> Outcome:
    """Have the model go on after the words of the answer that come before the private value.

    ``question`` in the rows is the question and, on the next line, these words.
    """
    beginnings = [(record, words_before_secret(record)) for record in targets.questions(settings.questions, seed)]
    attempts = [Attempt(record, replace(sample_of(record), begun=words)) for record, words in beginnings if words]
    return Outcome(ask(subject, attempts, "prefix"))


PREFIX = Attack("prefix", "Answer begun", run, needs="answer with words before its private value")
