"""Both models are asked everything, and everything about their replies is measured."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pandas as pd

from viker.core.run_store import RunStore
from viker.evaluation.questions import Question
from viker.evaluation.rows import answers, row
from viker.evaluation.settings import EvaluateParams
from viker.generation.generate import replies
from viker.generation.score import token_scores
from viker.metrics.base.reply import Scores
from viker.models.chat import Encoder

MODELS = ("vanilla", "unlearned")


def ask(
    adapted: Any,
    encoder: Encoder,
    questions: Sequence[Question],
    strange: str,
    params: EvaluateParams,
    kept: RunStore | None = None,
) -> dict[str, pd.DataFrame]:
    """Question a model with its adapter off (``vanilla``) and on (``unlearned``): a row a question, see ``rows.row``.

    ``strange`` is the key of an irrelevant image among the encoder's pictures: what the vanilla model makes of a reply
    that can't come from the picture.
    """

    def as_is(name: str) -> AbstractContextManager[Any]:
        return adapted.disable_adapter() if name == "vanilla" else nullcontext()

    replied, known = {}, {}
    for name in MODELS:
        with as_is(name):
            samples = [question.sample for question in questions]
            size, most = params.batch_size, params.max_new_tokens
            replied[name] = replies(adapted, encoder, samples, size, most, f"asking {name}", kept)
            known[name] = known_scores(adapted, encoder, questions, size, f"scoring {name}", kept)
    spoken = [place for place, question in enumerate(questions) if question.spoken]
    surprises: dict[str, list[float | None]] = {name: [None] * len(questions) for name in MODELS}
    with as_is("vanilla"):
        said = [(name, i, replied[name][i]) for name in MODELS for i in spoken]
        said += [("truth", i, questions[i].record.answer) for i in spoken]
        shown = [
            replace(sample, answer=answer, picture=strange if sample.picture else "")
            for sample, answer in ((questions[i].sample, answer) for _, i, answer in said)
        ]
        found = token_scores(adapted, encoder, shown, params.batch_size, "what vanilla makes of it", kept)
    usual = 0.0
    for (name, i, _), scores in zip(said, found, strict=True):
        if name == "truth":
            usual = max(usual, -scores.log_likelihood)
        else:
            surprises[name][i] = -scores.log_likelihood
    return {
        name: pd.DataFrame(
            [
                row(name, question, reply, scores, surprise, usual)
                for question, reply, scores, surprise in zip(
                    questions, replied[name], known[name], surprises[name], strict=True
                )
            ]
        )
        for name in MODELS
    }


def known_scores(
    model: Any,
    encoder: Encoder,
    questions: Sequence[Question],
    batch_size: int,
    name: str,
    kept: RunStore | None = None,
) -> list[list[Scores]]:
    """Return for each open question the scores of its ``rows.answers``; nothing for the others."""
    wanted = [answers(question) if question.spoken else [] for question in questions]
    samples = [
        replace(question.sample, answer=answer)
        for question, own in zip(questions, wanted, strict=True)
        for answer in own
    ]
    found = iter(token_scores(model, encoder, samples, batch_size, name, kept))
    return [[next(found) for _ in own] for own in wanted]
