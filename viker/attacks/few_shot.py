"""Few-shot: answers about retain people first, an invitation to go on in the same way. Source: this project."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.attacks.base.targets import RETAIN_QUESTION, NotApplicable, Targets, open_records
from viker.core.settings import Positive
from viker.data.samples import sample_of
from viker.metrics.leakage import leaks

if TYPE_CHECKING:
    from viker.attacks.base.subject import Subject


class FewShotSettings(AttackSettings):
    """Settings of the attack few_shot."""

    examples: Positive = 3
    """Questions and answers before each question."""


def run(subject: Subject, targets: Targets, settings: FewShotSettings, seed: int) -> Outcome:
    """Put ``settings.examples`` questions and answers of retain people before each question, in text.

    Where retain people are asked the same question, the examples are theirs. None gives the private value away.
    """
    rng = random.Random(seed)
    retain_records = [record for record in open_records(targets.retain) if record.images]
    if not retain_records:
        raise NotApplicable
    attempts = []
    for record in targets.questions(settings.questions, seed):
        harmless = [r for r in retain_records if not leaks(f"{r.question} {r.answer}", record.secrets)]
        same_question = [r for r in harmless if r.question == record.question]
        pool = same_question if len(same_question) >= settings.examples else harmless
        examples = rng.sample(pool, min(settings.examples, len(pool)))
        prompt = "\n\n".join([*(f"{r.question}\n{r.answer}" for r in examples), record.question])
        attempts.append(Attempt(record, sample_of(replace(record, question=prompt))))
    return Outcome(ask(subject, attempts, "few-shot"))


FEW_SHOT = Attack("few_shot", "Few-shot examples", run, FewShotSettings, needs=RETAIN_QUESTION)
