"""Membership inference: do likelihoods tell the forget people from people that no model was trained on?"""

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from viker.metrics.base.metric import Better, Metric
from viker.metrics.base.reply import Reply
from viker.models.scores import Scores

SHARE = 0.2
"""The share of an answer's least likely tokens that Min-K looks at; 0.2 in its paper."""


def min_k(log_p: Sequence[float]) -> float:
    """Return the mean log-likelihood of the least likely ``SHARE`` of the tokens, nats; one token at least.

    Higher where a model was trained on the text. Source: Shi et al. 2024, Min-K% Prob.
    """
    return _lowest(log_p)


def min_k_plus_plus(scores: Scores) -> float:
    """Return the mean over the lowest ``SHARE`` of the tokens of (log p - mean) / deviation; one token at least.

    Higher where a model was trained on the text. Source: Zhang et al. 2024, Min-K%++.
    """
    parts = zip(scores.log_p, scores.mean, scores.deviation, strict=True)
    return _lowest([(value - mean) / max(deviation, 1e-6) for value, mean, deviation in parts])


def zlib_ratio(log_p: Sequence[float], answer: str) -> float:
    """Return the log-likelihood of the whole answer over the bytes of its zlib compression, nats per byte, at most 0.

    Higher where a model was trained on the text. Source: Carlini et al. 2021.
    """
    return math.fsum(log_p) / len(zlib.compress(answer.encode()))


def auc(members: Sequence[float], strangers: Sequence[float]) -> float:
    """Return the chance that a member's value is higher than a stranger's, 0..1: the area under the ROC curve.

    0.5 is guessing, which is what a model that never saw the people gives; above it is knowledge. Well below it shows
    that the people were unlearned too hard. Source: Yeom et al. 2018.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([1] * len(members) + [0] * len(strangers), [*members, *strangers]))


def _lowest(values: Sequence[float]) -> float:
    import numpy as np

    count = max(1, int(SHARE * len(values)))
    return float(np.mean(np.sort(np.asarray(values))[:count]))


def _metric(name: str, sign: str, of_scores: Callable[[Scores, str], float], **settings: Any) -> Metric:
    """Return the metric that tells members by a sign, which ``of_scores`` takes from an answer's scores and text."""

    def of_reply(reply: Reply) -> float | None:
        return of_scores(reply.likelihood, reply.answer) if reply.likelihood else None

    return Metric(
        name=name,
        meaning=f"AUC of telling forget people from people never seen by {sign} of the true answer",
        better=Better(forget=0.5, retain=None),
        computed_from="likelihoods",
        unit="AUC",
        blocks=("membership",),
        of_reply=of_reply,
        in_predictions=False,
        compare=auc,
        **settings,
    )


LOSS_AUC = _metric(
    "loss_auc",
    "the mean log-likelihood per token",
    lambda scores, answer: scores.log_likelihood,
    heading="Loss",
    source="Yeom et al. 2018",
    column="log_likelihood",
    order=100,
)
MIN_K_AUC = _metric(
    "min_k_auc",
    "the mean of the least likely fifth of the tokens",
    lambda scores, answer: min_k(scores.log_p),
    heading="Min-K",
    source="Shi et al. 2024",
    column="min_k",
    order=101,
)
MIN_K_PLUS_PLUS_AUC = _metric(
    "min_k_plus_plus_auc",
    "the mean of the lowest fifth of the standardised tokens",
    lambda scores, answer: min_k_plus_plus(scores),
    heading="Min-K++",
    source="Zhang et al. 2024",
    column="min_k_plus_plus",
    order=102,
)
ZLIB_AUC = _metric(
    "zlib_auc",
    "the log-likelihood per byte of the zlib compression",
    lambda scores, answer: zlib_ratio(scores.log_p, answer),
    heading="Loss per zlib byte",
    source="Carlini et al. 2021",
    column="zlib",
    order=103,
)
