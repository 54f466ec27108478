"""Predictions: both models are asked everything, and everything about their replies is measured."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pandas as pd

from viker.core.run_store import RunStore
from viker.evaluation.classifier import clean_probabilities
from viker.evaluation.questions import Question
from viker.evaluation.rows import answers, row, usual_in
from viker.evaluation.settings import EvaluateParams
from viker.generation.generate import replies
from viker.generation.score import token_scores
from viker.metrics.exact_memorisation import private_tokens
from viker.models.encoder import Encoder
from viker.models.scores import Scores

MODELS = ("vanilla", "unlearned")


def predict(
    adapted: Any,
    encoder: Encoder,
    questions: Sequence[Question],
    irrelevant: str,
    params: EvaluateParams,
    store: RunStore | None = None,
    names: Sequence[str] = MODELS,
) -> dict[str, pd.DataFrame]:
    """Ask a PEFT model everything with its adapter off (``vanilla``) and on (``unlearned``).

    ``irrelevant``: key of an irrelevant image among the encoder's pictures, which include those of the questions.
    ``store``: where replies and likelihoods are stored, and taken from. ``names``: which of the two are asked.

    Returns:
        the predictions by model, one row per question, see ``rows.row``.
    """
    replies_of, scores_of = {}, {}
    for name in names:
        replies_of[name], scores_of[name] = answer(name, adapted, encoder, questions, params, store)
    surprises, largest = _surprises(adapted, encoder, questions, irrelevant, replies_of, params.batch_size, store)
    usual = usual_in(questions, largest)
    private = [_private_tokens(encoder, question) for question in questions]
    clean = _clean(params, questions, replies_of)
    tables = {}
    for name in names:
        cells = zip(questions, replies_of[name], scores_of[name], surprises[name], private, strict=True)
        tables[name] = pd.DataFrame(
            [
                row(name, question, reply, known, surprise, usual, tokens, clean.get(reply))
                for question, reply, known, surprise, tokens in cells
            ]
        )
    return tables


def answer(
    name: str,
    adapted: Any,
    encoder: Encoder,
    questions: Sequence[Question],
    params: EvaluateParams,
    store: RunStore | None = None,
) -> tuple[list[str], list[list[Scores]]]:
    """Return the replies of a model, ``vanilla`` or ``unlearned``, to all questions, and the scores of the answers."""
    with _as(name, adapted):
        said = _replies(adapted, encoder, questions, params, f"asking {name}", store)
        return said, answer_scores(adapted, encoder, questions, params.batch_size, f"scoring {name}", store)


def answer_scores(
    model: Any, encoder: Encoder, questions: Sequence[Question], size: int, label: str, store: RunStore | None = None
) -> list[list[Scores]]:
    """Return for each open question the scores of its ``rows.answers``; nothing for the others; ``size`` at once."""
    answers_of = [answers(question) if question.spoken else [] for question in questions]
    samples = [
        replace(question.sample, answer=answer)
        for question, texts in zip(questions, answers_of, strict=True)
        for answer in texts
    ]
    scores = iter(token_scores(model, encoder, samples, size, label, store))
    return [[next(scores) for _ in texts] for texts in answers_of]


def _replies(
    model: Any,
    encoder: Encoder,
    questions: Sequence[Question],
    params: EvaluateParams,
    label: str,
    store: RunStore | None,
) -> list[str]:
    """Return the reply to each question, as long as the protocol allows for its task."""
    protocol = params.in_force()
    longest = [protocol.longest(question.record.task) for question in questions]
    answered: dict[int, str] = {}
    for most in dict.fromkeys(longest):
        places = [place for place, tokens in enumerate(longest) if tokens == most]
        samples = [questions[place].sample for place in places]
        texts = replies(model, encoder, samples, params.batch_size, most, label, store)
        answered.update(zip(places, texts, strict=True))
    return [answered[place] for place in range(len(questions))]


def _clean(params: EvaluateParams, questions: Sequence[Question], replies_of: dict[str, list[str]]) -> dict[str, float]:
    """Return by reply to an open question the probability that it is clean; nothing without a classifier."""
    if params.gibberish_classifier is None:
        return {}
    pairs = [pair for said in replies_of.values() for pair in zip(questions, said, strict=True)]
    texts = list(dict.fromkeys(reply for question, reply in pairs if question.spoken))
    probabilities = clean_probabilities(params.gibberish_classifier, texts, params.batch_size)
    return dict(zip(texts, probabilities, strict=True))


def _private_tokens(encoder: Encoder, question: Question) -> tuple[bool, ...]:
    """Return of each token of an open question's true answer whether it is part of a private value."""
    record = question.record
    if not question.spoken or not record.secrets:
        return ()
    places = encoder.answer_places(replace(question.sample, answer=record.answer))
    return private_tokens(record.answer, record.secrets, places)


def _as(name: str, adapted: Any) -> AbstractContextManager[Any]:
    return adapted.disable_adapter() if name == "vanilla" else nullcontext()


def _surprises(
    adapted: Any,
    encoder: Encoder,
    questions: Sequence[Question],
    irrelevant: str,
    replies_of: dict[str, list[str]],
    batch_size: int,
    store: RunStore | None,
) -> tuple[dict[str, list[float | None]], float]:
    """Return how surprising each reply is to the vanilla model that sees an irrelevant image, nats per token.

    So the picture can't explain a reply. None for questions that are not open. And the largest surprise of any true
    answer of the data.
    """
    open_places = [place for place, question in enumerate(questions) if question.spoken]
    texts = [(name, place, said[place]) for name, said in replies_of.items() for place in open_places]
    texts += [("truth", place, questions[place].record.answer) for place in open_places]
    samples = [replace(questions[place].sample, answer=text) for _, place, text in texts]
    samples = [replace(sample, picture=irrelevant) if sample.picture else sample for sample in samples]
    with _as("vanilla", adapted):
        scores = token_scores(adapted, encoder, samples, batch_size, "perplexity under vanilla", store)
    surprises: dict[str, list[float | None]] = {name: [None] * len(questions) for name in replies_of}
    largest = 0.0
    for (name, place, _), score in zip(texts, scores, strict=True):
        if name == "truth":
            largest = max(largest, -score.log_likelihood)
        else:
            surprises[name][place] = -score.log_likelihood
    return surprises, largest
