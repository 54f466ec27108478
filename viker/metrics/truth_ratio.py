"""Truth ratio: how likely wrong answers are against the right one."""

import math
from collections.abc import Sequence

from viker.metrics.base.metric import Better, Metric
from viker.metrics.base.statistics import exp


def truth_ratio(right_logprob: float, wrong_logprobs: Sequence[float]) -> float:
    """Return exp(mean over wrong answers of their log-likelihood - that of the right answer), 0 or more.

    Below 1 the model finds the truth likelier than the wrong answers; at 1 it can't tell.

    Both are nats per token, means over an answer's tokens; the order of the wrong answers doesn't matter.

    Raises ValueError: there is no wrong answer.

    Source: CLEAR, which reports max(0, 1 - ratio) on retain and real; here it is the ratio on all splits.
    """
    if not wrong_logprobs:
        raise ValueError("truth ratio: no wrong answer to compare with")
    return exp(math.fsum(wrong_logprobs) / len(wrong_logprobs) - right_logprob)


TRUTH_RATIO = Metric(
    name="truth_ratio",
    meaning="exp(mean log-likelihood per token of the wrong answers − that of the right one, its first paraphrase if "
    "there is one); below 1 the truth is likelier",
    source="CLEAR",
    better=Better(forget=1.0, retain="lower"),
    computed_from="likelihoods",
    range=(0.0, math.inf),
    unit="ratio",
    of_reply=lambda reply: truth_ratio(reply.right, reply.wrong) if reply.right is not None and reply.wrong else None,
    order=72,
)
