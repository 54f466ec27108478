"""The right answer among wrong ones: does the model recognise what it no longer says?"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from viker.attacks.rates import BY_LIKELIHOOD, LEAST_LIKELY, rates
from viker.attacks.settings import AttackParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, row
from viker.attacks.targets import NotApplicable, Targets
from viker.data.prompts import LETTERS, classification_prompt
from viker.data.records import Record
from viker.models.chat import Sample, sample_of


def run(subject: Subject, targets: Targets, settings: AttackParams, seed: int) -> Attacked:
    """Have the model choose among four options by letter, and, in ``by_likelihood``, among four whole answers.

    The choice is the likeliest of the four letters, so that a model can't get out of it with a refusal; of the
    answers, the one with the highest likelihood a token. Guessing gives 0.25.

    Raises:
        NotApplicable: no open question has three wrong options or perturbed answers.
    """
    rng = random.Random(seed)
    asked = []
    for record in targets.questions(settings.questions, seed):
        options = _options(record, targets)
        if options:
            asked.append((record, rng.sample(options, len(options))))
    if not asked:
        raise NotApplicable("no open question has three wrong options or perturbed answers")
    questions, named = [], []
    for record, options in asked:
        prompt = classification_prompt(record.question, tuple(options))
        questions.append(Question(record, replace(sample_of(record), prompt=prompt)))
        named.append([f"{letter}: {text}" for letter, text in zip(LETTERS, options, strict=True)])
    scores = _scores(subject, [question.sample for question in questions], [list(LETTERS)] * len(asked))
    extras, others = _by_likelihood(subject, [record for record, _ in asked], seed)
    return Attacked(_rows(questions, named, scores, max), extras, others)


def _by_likelihood(
    subject: Subject, records: list[Record], seed: int
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return the block of choices among whole answers, with ``least_likely_rate``: how often the right one comes last.

    Above 0.25 the model gives the value away by shunning it. And the rows of both choices.
    """
    questions = [Question(r, sample_of(r)) for r in records if len(r.perturbed_answers) >= len(LETTERS) - 1]
    if not questions:
        return {}, {}
    answers = [[q.record.answer, *q.record.perturbed_answers[: len(LETTERS) - 1]] for q in questions]
    scores = _scores(subject, [question.sample for question in questions], answers)
    tables = {BY_LIKELIHOOD: max, LEAST_LIKELY: min}
    others = {name: _rows(questions, answers, scores, which) for name, which in tables.items()}
    found, last = (rates(rows, seed) for rows in others.values())
    found["least_likely_rate"] = last["leakage_rate"]
    found["intervals"]["least_likely_rate"] = last["intervals"]["leakage_rate"]
    return {"by_likelihood": found}, others


def _options(record: Record, targets: Targets) -> list[str]:
    """Return the right option and three wrong ones: those of the data, or the answer and its perturbed forms."""
    for other in targets.forget:
        if (other.task, other.person_id, other.question) == ("classification", record.person_id, record.question):
            return list(other.options)
    whole = [record.answer, *record.perturbed_answers[: len(LETTERS) - 1]]
    return whole if len(whole) == len(LETTERS) else []


def _scores(subject: Subject, samples: list[Sample], answers: list[list[str]]) -> list[list[float]]:
    """Return the log-likelihood a token of each of a sample's ``answers``."""
    every = [replace(sample, answer=a) for sample, choices in zip(samples, answers, strict=True) for a in choices]
    found = iter(subject.likelihoods(every))
    return [[next(found) for _ in choices] for choices in answers]


def _rows(
    questions: list[Question], named: list[list[str]], scores: list[list[float]], which: Callable[[list[float]], float]
) -> pd.DataFrame:
    """Return the rows of the choices with the highest (``which``: max) or lowest (min) score; the reply is its name."""
    rows = []
    for question, names, values in zip(questions, named, scores, strict=True):
        chosen = names[values.index(which(values))]
        rows.append(row(question, [chosen]) | {"chance": 1 / len(names)})
    return pd.DataFrame(rows)
