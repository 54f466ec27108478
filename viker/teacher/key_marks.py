"""Which of an answer's tokens are key: those above a threshold, fixed or found in the scores, or of private values.

All marks but that of private values are thresholds, so a token that scores higher than a key one, in the same answer,
is key too. Where all scores are the same, or there is one alone, the adaptive ones mark nothing.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

Mark = Literal["fixed", "quantile", "otsu", "mixture", "private_values"]
TOP = 0.2
"""The share of an answer's tokens that the mark quantile takes."""
ROUNDS = 200
"""Of expectation and maximisation."""
_LEAST = 1e-3
"""Added to scores before their logarithm, nats: most tokens are certain, and how certain doesn't matter."""


def key_tokens(
    scores: Sequence[Tensor], mark: Mark = "fixed", threshold: float = 0.5, private: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Return for each answer which of its tokens are key, bool [T].

    ``scores``: [T] for each answer, such as the teacher's entropies, nats, at least 0. ``mark``: fixed, above
    ``threshold``; quantile, the highest fifth of each answer; otsu, the higher class of each answer; mixture, the
    higher of two components over the tokens of all answers; private_values, the tokens that ``private``, bool [T] for
    each answer, says, and in an answer without any those above ``threshold``.
    """
    if mark == "fixed":
        return [one.double() > threshold for one in scores]
    if mark == "private_values":
        return [own if own.any() else one.double() > threshold for one, own in zip(scores, private, strict=True)]
    if mark == "mixture":
        bound = mixture_threshold(torch.cat([one.double() for one in scores])) if scores else 0.0
        return [one.double() > bound for one in scores]
    by_answer: Callable[[Tensor], float] = quantile_threshold if mark == "quantile" else otsu_threshold
    return [one.double() > by_answer(one.double()) for one in scores]


def quantile_threshold(scores: Tensor) -> float:
    """Return what at most a share ``TOP`` of the scores [T] is above: one of the scores."""
    ordered = scores.sort().values
    return float(ordered[max(0, len(ordered) - 1 - int(TOP * len(ordered)))])


def otsu_threshold(scores: Tensor) -> float:
    """Return the score that divides scores [T] into two classes of the largest variance between their means.

    Of equal divisions the lowest; the largest score where all are the same. Source: Otsu, "A Threshold Selection
    Method from Gray-Level Histograms", IEEE Transactions on Systems, Man, and Cybernetics 9 (1979), over the scores
    themselves in place of a histogram.
    """
    ordered = scores.sort().values
    count, sums = torch.arange(1, len(ordered)), ordered.cumsum(0)
    low, high = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    between = (count * (len(ordered) - count) * (high - low).square()).where(
        ordered[1:] > ordered[:-1], -torch.ones(())
    )
    return float(ordered[int(between.argmax())] if len(between) and between.max() >= 0 else ordered[-1])


def mixture_threshold(scores: Tensor) -> float:
    """Return the largest score [T] that belongs to the lower of two components rather than to the higher one.

    They are normal distributions of log(score + 0.001), fitted by expectation and maximisation from Otsu's division, so
    without chance; of at least .05 of standard deviation. Above the higher mean a token always belongs to it. Source:
    Dempster, Laird and Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", 1977.
    """
    x = (scores + _LEAST).log()
    higher = (x > otsu_threshold(x)).double()
    if not higher.any():
        return float(scores.max())
    for _ in range(ROUNDS):
        weights = torch.stack([1 - higher, higher])
        total = weights.sum(1).clamp_min(1e-9)
        mean = (weights * x).sum(1) / total
        deviation = ((weights * (x - mean[:, None]).square()).sum(1) / total).sqrt().clamp_min(0.05)
        density = (total / len(x)).log()[:, None] - deviation.log()[:, None]
        density = density - ((x - mean[:, None]) / deviation[:, None]).square() / 2
        higher = density.softmax(0)[1]
    lower = scores[(higher <= 0.5) & (x < mean[1])]
    return float(lower.max()) if len(lower) else float(scores.min())
