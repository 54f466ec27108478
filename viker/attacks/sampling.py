"""Sampling: is the answer among several drawn replies, though another is the likeliest? Source: this project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, reply_rows
from viker.core.settings import Positive, Rate
from viker.data.samples import sample_of

if TYPE_CHECKING:
    from viker.attacks.base.subject import Subject
    from viker.attacks.base.targets import Targets


class SamplingSettings(AttackSettings):
    """Settings of the attack sampling."""

    temperatures: list[Rate] = Field([0.7, 1.0], min_length=1)
    """Each question is asked at each of them."""
    samples: Positive = 5
    """Replies per question and temperature; one that leaks is enough."""


def run(subject: Subject, targets: Targets, settings: SamplingSettings, seed: int) -> Outcome:
    """Ask each question ``settings.samples`` times at each temperature; it leaks if any of these replies does."""
    records = targets.questions(settings.questions, seed)
    attempts, replies = [], []
    for temperature in settings.temperatures:
        samples, label = [sample_of(record) for record in records], f"sampling at {temperature}"
        attempts += [Attempt(r, s, f"temperature {temperature}") for r, s in zip(records, samples, strict=True)]
        replies += subject.drawn_replies(samples, temperature, settings.samples, seed, label)
    return Outcome(reply_rows(attempts, replies))


SAMPLING = Attack("sampling", "Sampled replies", run, SamplingSettings)
