"""Sampling: several replies drawn at a temperature. Is the answer among them, though another reply is the likeliest?

Source: this project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, reply_row
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
    import pandas as pd

    records = targets.questions(settings.questions, seed)
    rows = []
    for temperature in settings.temperatures:
        attempts = [Attempt(record, sample_of(record), f"temperature {temperature}") for record in records]
        samples = [attempt.sample for attempt in attempts]
        label = f"sampling at {temperature}"
        drawn = subject.drawn_replies(samples, temperature, settings.samples, seed, label)
        rows += [reply_row(attempt, replies) for attempt, replies in zip(attempts, drawn, strict=True)]
    return Outcome(pd.DataFrame(rows))


SAMPLING = Attack("sampling", "Sampled replies", run, SamplingSettings)
