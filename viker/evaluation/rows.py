"""One reply with everything that is measured on it, as a row of the table of replies."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from viker.evaluation.questions import Question
from viker.metrics.base.catalogue import all_metrics, prediction_columns
from viker.metrics.base.private_values import identifies
from viker.metrics.base.reply import NOT_KNOWN, Reply, Usual
from viker.metrics.base.word_salad import excess_bits, words_in
from viker.metrics.base.words import normalise
from viker.models.scores import Scores

_OF_RECORD = ("record_id", "person_id", "task", "modality")
QUESTION_COLUMNS = ("model", "split", *_OF_RECORD, "picture", "question", "answer", "reply")
COLUMNS = [*QUESTION_COLUMNS, *prediction_columns()]
"""The columns of evaluation/predictions.parquet; leaked and fuzzy_leaked are missing where nothing is private."""
FLAGS = tuple(column for column, is_flag in prediction_columns().items() if is_flag)


def row(
    model: str,
    question: Question,
    reply: str,
    known: list[Scores],
    surprise: float | None,
    usual: Usual,
    private: tuple[bool, ...] = (),
    clean: float | None = None,
) -> dict[str, Any]:
    """Return everything measured on one reply: the question's columns and each metric's, None where it has no value.

    ``known``: the scores of ``answers(question)``, in their order; empty where the question isn't an open one.
    ``surprise``: nats per token, of the reply, to the vanilla model that is shown an irrelevant image;
    ``usual``: what is usual in the data's true answers. ``private``: of each token of the true answer, whether
    it is part of a private value. ``clean``: the probability of a clean reply, by a classifier.
    """
    record = question.record
    measured = replace(_reply(question, reply, known, surprise, usual), private=private, clean=clean)
    cells: dict[str, Any] = {metric.column: None for metric in all_metrics() if metric.of_reply}
    for metric in all_metrics():
        if metric.of_reply and record.task in metric.tasks:
            cells[metric.column] = metric.of_reply(measured)
    cells |= {"attribute": attribute(question), "value": value_of(question)}
    of_record = (record.id, record.person_id, record.task, record.modality)
    of_question = (model, question.split, *of_record, question.sample.picture, record.question, record.answer, reply)
    return dict(zip(QUESTION_COLUMNS, of_question, strict=True)) | cells


def attribute(question: Question) -> str:
    """Return what an open question asks for, told by the form of its answer: the answer without its private values.

    People's answers about one attribute differ in the value alone ("This person was born in …") if the data's answers
    repeat; in free text each has an attribute of its own. "" of a question that is not open.
    """
    text = f" {normalise(question.record.answer)} " if question.spoken else ""
    for value in sorted(map(normalise, question.with_name or question.record.secrets), key=len, reverse=True):
        text = text.replace(f" {value} ", " … ") if value else text
    return text.strip()


def value_of(question: Question) -> str | None:
    """Return the first private value of an open question's answer, normalised; None where it has none."""
    values = filter(None, map(normalise, question.record.secrets))
    return next(values, None) if question.spoken else None


def usual_in(questions: Sequence[Question], surprise: float) -> Usual:
    """Return what is usual in the true answers to the open questions; ``surprise``: the largest of theirs."""
    records = {question.record.id: question.record for question in questions if question.spoken}.values()
    words = words_in(text for record in records for text in (record.question, record.answer))
    excess = [excess_bits(answer, words) for answer in {record.answer for record in records}]
    most = np.quantile(excess, 0.99, method="lower") if excess else 0.0
    return Usual(surprise=surprise, excess_bits=float(most), words=words)


def answers(question: Question) -> list[str]:
    """Return the answers to an open question whose likelihoods are needed.

    They are the true one; and where there are wrong ones, the right one to compare them with, the first paraphrase or
    else the true one, and those.
    """
    record = question.record
    right = next(iter(record.paraphrases), record.answer)
    return [record.answer, *((right, *record.perturbed_answers) if record.perturbed_answers else ())]


def likelihoods(question: Question, known: list[Scores]) -> dict[str, Any]:
    """Return by column what the likelihoods of ``answers(question)``, given as ``known``, tell by themselves."""
    measured = _reply(question, "", known, None, NOT_KNOWN)
    return {
        metric.column: metric.of_reply(measured)
        for metric in all_metrics()
        if metric.of_reply and metric.computed_from == "likelihoods"
    }


def _reply(question: Question, text: str, known: list[Scores], surprise: float | None, usual: Usual) -> Reply:
    """Return what the metrics see of a reply; ``known`` begins with the true answer, then the right one, the wrong."""
    record = question.record
    compared = [scores.log_likelihood for scores in known[1:]]
    return Reply(
        text=text,
        answer=record.answer,
        option=record.correct,
        options=record.options,
        question=record.question,
        person_id=record.person_id,
        secrets=record.secrets,
        secrets_with_name=question.with_name,
        identifies=identifies(record),
        person_secrets=question.known,
        people=question.people,
        likelihood=known[0] if known else None,
        right=compared[0] if compared else None,
        wrong=tuple(compared[1:]),
        surprise=surprise,
        usual=usual,
    )
