"""Multiple choice: does the model recognise the right answer that it no longer says? Source: this project."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

from viker.attacks.base.attack import Attack, AttackSettings, SideBlock
from viker.attacks.base.outcome import Attempt, Outcome, reply_rows
from viker.attacks.base.rates import rates
from viker.attacks.base.targets import NotApplicable, Targets
from viker.data.prompts import LETTERS, classification_prompt
from viker.data.samples import Sample, sample_of

if TYPE_CHECKING:
    import pandas as pd

    from viker.attacks.base.subject import Subject
    from viker.data.records import Record

TABLES = {"multiple_choice.by_likelihood": max, "multiple_choice.least_likely": min}
"""The tables of choices among whole answers: of the likeliest, and of the least likely."""
CHANCE = 1 / len(LETTERS)
_WRONG = len(LETTERS) - 1


def run(subject: Subject, targets: Targets, settings: AttackSettings, seed: int) -> Outcome:
    """Have the model choose among four options by letter, and, for ``by_likelihood``, among four whole answers.

    The choice is the likeliest of the four letters, so that a refusal doesn't help the model; of the answers, the one
    with the highest likelihood per token. Guessing gives 0.25.
    """
    rng = random.Random(seed)
    attempts, options_by_letter = [], []
    for record in targets.questions(settings.questions, seed):
        if options := _options(record, targets):
            shuffled = rng.sample(options, len(options))
            prompt = classification_prompt(record.question, tuple(shuffled))
            attempts.append(Attempt(record, replace(sample_of(record), prompt=prompt)))
            options_by_letter.append([f"{letter}: {text}" for letter, text in zip(LETTERS, shuffled, strict=True)])
    if not attempts:
        raise NotApplicable
    scores = _scores(subject, [attempt.sample for attempt in attempts], [list(LETTERS)] * len(attempts))
    side_rows = _choices_by_likelihood(subject, [attempt.record for attempt in attempts])
    return Outcome(_choices(attempts, options_by_letter, scores, max), side_rows=side_rows)


def count_by_likelihood(tables: Mapping[str, pd.DataFrame], seed: int) -> dict[str, Any]:
    """Return the rates of choices among whole answers, with ``least_likely_rate``: how often the right one comes last.

    Above 0.25 the model gives the value away by shunning it.
    """
    block, least_likely = (rates(tables[table], seed) for table in TABLES)
    block["least_likely_rate"] = least_likely["leakage_rate"]
    block["intervals"]["least_likely_rate"] = least_likely["intervals"]["leakage_rate"]
    return block


def _options(record: Record, targets: Targets) -> list[str]:
    """Return the right option and three wrong ones, of the data or of the perturbed answers; nothing without them."""
    for other in targets.forget:
        if (other.task, other.person_id, other.question) == ("classification", record.person_id, record.question):
            return list(other.options)
    answers = [record.answer, *record.perturbed_answers[:_WRONG]]
    return answers if len(answers) == len(LETTERS) else []


def _choices_by_likelihood(subject: Subject, records: Sequence[Record]) -> dict[str, pd.DataFrame]:
    """Return the rows of both choices among the answers of the records that have enough wrong ones."""
    attempts = [Attempt(r, sample_of(r)) for r in records if len(r.perturbed_answers) >= _WRONG]
    if not attempts:
        return {}
    answers = [[attempt.record.answer, *attempt.record.perturbed_answers[:_WRONG]] for attempt in attempts]
    scores = _scores(subject, [attempt.sample for attempt in attempts], answers)
    return {table: _choices(attempts, answers, scores, best) for table, best in TABLES.items()}


def _scores(subject: Subject, samples: Sequence[Sample], answers: Sequence[list[str]]) -> list[list[float]]:
    """Return the log-likelihood per token of each of a sample's ``answers``."""
    candidates = [replace(sample, answer=a) for sample, own in zip(samples, answers, strict=True) for a in own]
    scores = iter(subject.likelihoods(candidates))
    return [[next(scores) for _ in own] for own in answers]


def _choices(
    attempts: Sequence[Attempt],
    options: Sequence[list[str]],
    scores: Sequence[list[float]],
    best: Callable[[list[float]], float],
) -> pd.DataFrame:
    """Return the rows of the options with the highest (``best``: max) or the lowest (min) score, as the reply."""
    replies = ([texts[values.index(best(values))]] for texts, values in zip(options, scores, strict=True))
    return reply_rows(attempts, replies, repeat(CHANCE))


MULTIPLE_CHOICE = Attack(
    "multiple_choice",
    "Multiple choice",
    run,
    needs="open question with three wrong options or perturbed answers",
    recount_chance=lambda *_: CHANCE,
    side_blocks=(SideBlock("by_likelihood", tuple(TABLES), count_by_likelihood),),
)
