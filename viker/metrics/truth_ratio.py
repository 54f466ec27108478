"""Truth ratio: how likely wrong answers are against the right one, in the three forms in which it enters a mean."""

import math
from collections.abc import Callable, Sequence

from viker.metrics.base.metric import FORGOTTEN, Better, Metric
from viker.metrics.base.reply import Reply
from viker.metrics.base.statistics import exp


def truth_ratio(right_logprob: float, wrong_logprobs: Sequence[float]) -> float:
    """Return exp(mean over wrong answers of their log-likelihood - that of the right answer), 0 or more.

    Below 1 the model finds the truth likelier than the wrong answers; at 1 it can't tell. It has no upper bound, so no
    mean is taken of it as it is.

    Both are nats per token, means over an answer's tokens; the order of the wrong answers doesn't matter.

    Raises ValueError: there is no wrong answer.

    Source: TOFU (Maini et al. 2024), as CLEAR has it.
    """
    if not wrong_logprobs:
        raise ValueError("truth ratio: no wrong answer to compare with")
    return exp(math.fsum(wrong_logprobs) / len(wrong_logprobs) - right_logprob)


def closer_to_1(ratio: float) -> float:
    """Return min(r, 1/r), 0..1: 1 where the model can't tell truth from falsehood. Source: TOFU, on forget."""
    return ratio if ratio <= 1 else 1 / ratio


def true_better(ratio: float) -> float:
    """Return max(0, 1 - r), 0..1: higher where the truth is known. Source: TOFU, on retain and the real sets."""
    return max(0.0, 1 - ratio)


def right_share(ratio: float) -> float:
    """Return p_c / (p_c + p_w) = 1 / (1 + r), 0..1, of the probabilities per token of the correct and wrong answers.

    Source: open-unlearning, ``prob_mean``.
    """
    return 1 / (1 + ratio)


def _of_reply(reply: Reply) -> float | None:
    return truth_ratio(reply.right, reply.wrong) if reply.right is not None and reply.wrong else None


def _metric(
    name: str, heading: str, meaning: str, source: str, better: Better, of_value: Callable[[float], float]
) -> Metric:
    return Metric(
        name=name,
        heading=heading,
        meaning=meaning,
        source=source,
        better=better,
        computed_from="likelihoods",
        unit="score",
        of_reply=_of_reply,
        column="truth_ratio",
        of_value=of_value,
        order=72,
    )


TRUTH_RATIO = _metric(
    "truth_ratio",
    "Truth ratio",
    "mean of min(r, 1/r), where r = exp(mean log-likelihood per token of the wrong answers − that of the right one, "
    "its first paraphrase if there is one); at 1 the model can't tell the truth",
    "TOFU; open-unlearning's `closer_to_1_better`",
    Better(forget="higher", retain=None),
    closer_to_1,
)
TRUTH_RATIO_TRUE_BETTER = _metric(
    "truth_ratio_true_better",
    "Truth ratio, truth likelier",
    "mean of max(0, 1 − r) of the same ratio r",
    "TOFU; open-unlearning's `true_better`",
    FORGOTTEN,
    true_better,
)
TRUTH_RATIO_PROB_MEAN = _metric(
    "truth_ratio_prob_mean",
    "Truth ratio, right share",
    "mean of 1 / (1 + r): the right answer's probability per token over the sum of it and the wrong ones'",
    "open-unlearning's `prob_mean`",
    FORGOTTEN,
    right_share,
)
