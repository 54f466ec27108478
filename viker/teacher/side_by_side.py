"""One question to the model before and after unlearning: both replies, and how likely each model finds their tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from viker.data.samples import Sample
from viker.generation.score import token_scores
from viker.models.answering import PICTURE, Answerer
from viker.models.encoder import Encoder
from viker.models.loading import device
from viker.teacher.heat_map import answer_tokens, irrelevant_images

if TYPE_CHECKING:
    import pandas as pd

MODELS = ("vanilla", "unlearned")


@dataclass(frozen=True)
class SideBySide:
    """Both replies to a question, and the tokens of the replies and of the true answer.

    ``replies``: by model, see ``MODELS``. ``tokens``: of both replies, by model, and of the true answer as ``truth``,
    where one is known: one row per token, end token last, with ``text``, ``entropy`` and ``key`` as ``HeatMap`` has
    them, and the token's probability (0 to 1) by ``vanilla``, ``unlearned`` and ``teacher``.
    """

    replies: dict[str, str]
    tokens: dict[str, pd.DataFrame]


def side_by_side(answerer: Answerer, question: str, image: bytes, truth: str, threshold: float) -> SideBySide:
    """Ask both models, and look at the tokens of what they reply.

    Args:
        answerer: a base model with an adapter.
        question: the prompt.
        image: the picture that the question is about, as an image file.
        truth: the true answer, or "" where none is known.
        threshold: nats; tokens of a higher entropy are key tokens.

    Raises UserError: the picture can't be used, or the question is empty.
    """
    replies = {name: answerer.answer(question, image, vanilla=name == "vanilla") for name in MODELS}
    answers = replies | ({"truth": truth} if truth else {})
    samples = [Sample(name, question, answer, PICTURE) for name, answer in answers.items()]
    scenes = irrelevant_images(None)
    encoder = Encoder(answerer.processor, {PICTURE: image, **scenes}, device())
    with answerer.model.disable_adapter():
        tables = answer_tokens(answerer.model, encoder, samples, list(scenes), threshold)
        vanilla = token_scores(answerer.model, encoder, samples, len(samples))
    unlearned = token_scores(answerer.model, encoder, samples, len(samples))
    tokens = {}
    for name, table, *scores in zip(answers, tables, vanilla, unlearned, strict=True):
        by_model = {model: list(map(math.exp, one.log_p)) for model, one in zip(MODELS, scores, strict=True)}
        tokens[name] = table.rename(columns={"probability": "teacher"}).assign(**by_model)
    return SideBySide(replies, tokens)
