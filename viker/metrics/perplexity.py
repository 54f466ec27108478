"""Perplexity of the replies under the vanilla model, shown an irrelevant image. Source: Jelinek et al. 1977."""

import math

from viker.metrics.base.metric import LOWER, Metric
from viker.metrics.base.statistics import exp

PERPLEXITY = Metric(
    name="perplexity",
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
    finish=exp,
    order=91,
)
