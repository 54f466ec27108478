"""Few-shot: answers about retain people first, an invitation to go on in the same way. Source: this project."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, reply_rows
from viker.attacks.base.targets import RETAIN_QUESTION, NotApplicable, Targets, open_records
from viker.core.settings import Positive
from viker.data.samples import sample_of
from viker.metrics.leakage import leaks

if TYPE_CHECKING:
    from viker.attacks.base.subject import Subject
    from viker.data.samples import Sample


class FewShotSettings(AttackSettings):
    """Settings of the attack few_shot."""

    examples: Positive = 3
    """The most questions and answers before each question."""


def run(subject: Subject, targets: Targets, settings: FewShotSettings, seed: int) -> Outcome:
    """Put questions and answers of retain people before each question, in text: one, two and so on.

    Where retain people are asked the same question, the examples are theirs. None gives the private value away.
    ``question`` in the rows has all ``settings.examples``; ``replies`` are those to each number of them, and one that
    leaks is enough: models differ in how many examples they follow.
    """
    rng = random.Random(seed)
    retain_records = [record for record in open_records(targets.retain) if record.images]
    if not retain_records:
        raise NotApplicable
    attempts: list[Attempt] = []
    shots: list[list[Sample]] = []
    for record in targets.questions(settings.questions, seed):
        harmless = [r for r in retain_records if not leaks(f"{r.question} {r.answer}", record.secrets)]
        same_question = [r for r in harmless if r.question == record.question]
        pool = same_question if len(same_question) >= settings.examples else harmless
        examples = rng.sample(pool, min(settings.examples, len(pool)))
        texts = [f"{r.question}\n{r.answer}" for r in examples]
        prompts = ["\n\n".join([*texts[: count + 1], record.question]) for count in range(max(len(texts), 1))]
        shots.append([sample_of(replace(record, question=prompt)) for prompt in prompts])
        attempts.append(Attempt(record, shots[-1][-1]))
    replies = iter(subject.replies(list(chain.from_iterable(shots)), "few-shot"))
    return Outcome(reply_rows(attempts, [list(islice(replies, len(samples))) for samples in shots]))


FEW_SHOT = Attack("few_shot", "Few-shot examples", run, FewShotSettings, needs=RETAIN_QUESTION)
