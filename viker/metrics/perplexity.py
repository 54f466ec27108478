"""Perplexity of the replies under the vanilla model."""

import math

from viker.metrics.base.metric import LOWER, Metric


def perplexity(surprise: float) -> float:
    """Return exp of a mean negative log-likelihood per token (nats): 1 or more, infinite where it is too large.

    Source: Jelinek et al. 1977; of the replies under the vanilla model shown an irrelevant image: this project.
    """
    try:
        return math.exp(surprise)
    except OverflowError:
        return math.inf


PERPLEXITY = Metric(
    name="perplexity",
    heading="Perplexity",
    meaning="exp of the replies' mean negative log-likelihood per token under the vanilla model, shown an irrelevant "
    "image",
    source="Jelinek et al. 1977",
    better=LOWER,
    computed_from="likelihoods",
    range=(1.0, math.inf),
    unit="perplexity",
    blocks=("fluency",),
    of_reply=lambda reply: reply.surprise,
    column="surprise",
    in_predictions=False,
    finish=perplexity,
    order=91,
)
