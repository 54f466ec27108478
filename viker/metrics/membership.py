"""Membership inference: do likelihoods tell the forget people from people that no model was trained on?"""

import math
import zlib
from collections.abc import Callable, Sequence

from viker.metrics.base.metric import Better, Metric
from viker.models.scores import Scores

SHARE = 0.2
"""The share of an answer's least likely tokens that Min-K looks at; 0.2 in its paper."""


def min_k(values: Sequence[float]) -> float:
    """Return the mean of the lowest ``SHARE`` of the tokens' log-likelihoods, nats; one token at least.

    Higher where a model was trained on the text. Source: Shi et al. 2024, Min-K% Prob.
    """
    import numpy as np

    return float(np.mean(np.sort(np.asarray(values))[: max(1, int(SHARE * len(values)))]))


def min_k_plus_plus(scores: Scores) -> float:
    """Return the mean over the lowest ``SHARE`` of the tokens of (log p - mean) / deviation; one token at least.

    Higher where a model was trained on the text. Source: Zhang et al. 2024, Min-K%++.
    """
    parts = zip(scores.log_p, scores.mean, scores.deviation, strict=True)
    return min_k([(value - mean) / max(deviation, 1e-6) for value, mean, deviation in parts])


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


def _metric(
    name: str, heading: str, sign: str, source: str, of_scores: Callable[[Scores, str], float], column: str = ""
) -> Metric:
    """Return the metric that tells members by a sign, which ``of_scores`` takes from an answer's scores and text."""
    return Metric(
        name=name,
        heading=heading,
        meaning=f"AUC of telling forget people from people never seen by {sign} of the true answer",
        source=source,
        better=Better(forget=0.5, retain=None),
        computed_from="likelihoods",
        unit="AUC",
        blocks=("membership",),
        of_reply=lambda reply: of_scores(reply.likelihood, reply.answer) if reply.likelihood else None,
        column=column,
        in_predictions=False,
        compare=auc,
        order=100,
    )


_OF_LOSS = "the mean log-likelihood per token"
_OF_MIN_K = "the mean of the least likely fifth of the tokens"
_OF_PLUS_PLUS = "the mean of the lowest fifth of the standardised tokens"
_OF_ZLIB = "the log-likelihood per byte of the zlib compression"
LOSS_AUC = _metric(
    "loss_auc", "Loss", _OF_LOSS, "Yeom et al. 2018", lambda scores, _: scores.log_likelihood, "log_likelihood"
)
MIN_K_AUC = _metric("min_k_auc", "Min-K", _OF_MIN_K, "Shi et al. 2024", lambda scores, _: min_k(scores.log_p))
MIN_K_PLUS_PLUS_AUC = _metric(
    "min_k_plus_plus_auc", "Min-K++", _OF_PLUS_PLUS, "Zhang et al. 2024", lambda scores, _: min_k_plus_plus(scores)
)
ZLIB_AUC = _metric(
    "zlib_auc", "Loss per zlib byte", _OF_ZLIB, "Carlini et al. 2021", lambda s, answer: zlib_ratio(s.log_p, answer)
)
