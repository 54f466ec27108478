"""The probability of the true answer, by itself and among options."""

import math
from collections.abc import Sequence

from viker.metrics.base.metric import FORGOTTEN, Better, Metric
from viker.metrics.base.reply import Reply


def probability(log_likelihood: float) -> float:
    """Return exp(log-likelihood per token): the probability of the answer, normalised by its length, 0..1.

    Source: TOFU (Maini et al. 2024), as CLEAR has it.
    """
    return math.exp(log_likelihood)


def normalised_probability(right: float, wrong: Sequence[float]) -> float:
    """Return the right answer's share of the probabilities of all options, 0..1, from log-likelihoods per token.

    Source: TOFU, as CLEAR has it.
    """
    most = max(right, *wrong)
    return math.exp(right - most) / math.fsum(math.exp(value - most) for value in (right, *wrong))


def _among_options(reply: Reply) -> float | None:
    if reply.likelihood is None or not reply.wrong:
        return None
    return normalised_probability(reply.likelihood.log_likelihood, reply.wrong)


PROBABILITY = Metric(
    name="probability",
    meaning="exp of the true answer's mean log-likelihood per token",
    source="TOFU",
    better=FORGOTTEN,
    computed_from="likelihoods",
    unit="probability",
    of_reply=lambda reply: probability(reply.likelihood.log_likelihood) if reply.likelihood else None,
    order=70,
)
NORMALISED_PROBABILITY = Metric(
    name="normalised_probability",
    heading="Probability among options",
    meaning="the right answer's share of the probabilities of all options; CLEAR's `probability` on the real sets",
    source="TOFU, as CLEAR has it",
    better=Better(forget=None, retain="higher"),
    computed_from="likelihoods",
    unit="probability",
    blocks=("clear",),
    of_reply=_among_options,
    in_predictions=False,
    order=71,
)
