"""Means with intervals by person, as a person's rows are not independent: exact ones of rates, else by bootstrap."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

DRAWS = 2000
LEVEL = 0.95
EXACT_DRAWS = 20_000
"""Draws of the order statistics that the bound of shares is read from; fewer of more than ``_MOST_CELLS`` numbers."""
_MOST_CELLS = 4_000_000


def exp(value: float) -> float:
    """Return e ** ``value``; infinite where it is too large for a float."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None if there is no value."""
    return float(np.mean(values)) if len(values) else None


def interval(
    values: Sequence[float], people: Sequence[str], seed: int, within: tuple[float, float] | None = None
) -> list[float] | None:
    """Return the interval [low, high] of the mean of ``values``; None if there is no value.

    Args:
        values: [N], numbers; with an infinite one there is no interval.
        people: [N], the persons of ``values``.
        seed: of the bootstrap. The same one gives the same draws for the same number of people, so that differences
            are paired.
        within: the lowest and the highest possible value of a rate: then the interval is that of ``exact_interval``,
            of the mean over people of each person's mean, widened to the mean of ``values`` where people have
            different numbers of rows. None: a percentile bootstrap at 95 %. People are drawn with replacement, each
            with all of their values; of one person alone, values are drawn, and the interval applies to that person.

    Source of the bootstrap: Efron and Tibshirani 1993, chapter 13; by cluster: Davison and Hinkley 1997, section 3.8.
    """
    numbers = np.asarray(values, dtype=float)
    if not len(numbers) or not np.isfinite(numbers).all():
        return None
    names, places = np.unique(np.asarray(people, dtype=str), return_inverse=True)
    if within is not None:
        low, high = exact_interval(np.bincount(places, weights=numbers) / np.bincount(places), within)
        return [min(low, float(numbers.mean())), max(high, float(numbers.mean()))]
    if len(names) == 1:
        places = np.arange(len(numbers))
    counts = np.bincount(places)
    sums = np.bincount(places, weights=numbers)
    drawn = _draws(len(counts), seed)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


def exact_interval(shares: Sequence[float] | np.ndarray, within: tuple[float, float] = (0.0, 1.0)) -> list[float]:
    """Return the one-sided 95 % lower and upper bound of the mean that ``shares``, one per person, are drawn from.

    Each bound holds by itself. ``shares`` [n >= 1] are independent and lie ``within`` two numbers; nothing is assumed
    of what makes them, so not of how a person's rows depend on each other. Where each is one of the two ends, as for
    "k of n people", the bounds are those of Clopper and Pearson 1934. Else they are Gaffke's: the quantile of
    1 - sum of U_(i) (x_(i+1) - x_(i)), with x_(n+1) = 1 and U_(i) the ordered uniform numbers, here of
    ``EXACT_DRAWS`` fixed draws. Of shares of 0 and 1 alone that is Clopper and Pearson's bound again. That it holds
    for all distributions is a conjecture without a known counterexample; the tests try it.

    Source: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
    variable", 2005; Learned-Miller and Thomas, "A New Confidence Interval for the Mean of a Bounded Random Variable",
    2019, arXiv 1905.06208.
    """
    lowest, highest = within
    ordered = np.sort((np.asarray(shares, dtype=float) - lowest) / (highest - lowest)).clip(0, 1)
    bounds = (1 - _upper(1 - ordered[::-1]), _upper(ordered))
    return [lowest + (highest - lowest) * bound for bound in bounds]


def clopper_pearson(hits: int, trials: int, level: float = LEVEL) -> float:
    """Return the one-sided upper bound at ``level`` of a probability of which ``trials`` gave ``hits``.

    Source: Clopper and Pearson 1934.
    """
    from scipy.special import betaincinv

    return 1.0 if hits >= trials else float(betaincinv(hits + 1, trials - hits, level))


def _upper(ordered: np.ndarray) -> float:
    """Return the upper bound of the mean of rising ``ordered`` [n], each 0..1."""
    if np.isin(ordered, (0, 1)).all():
        return clopper_pearson(int(ordered.sum()), len(ordered))
    steps = np.diff(ordered, append=1.0)
    uniforms = _ordered_uniforms(len(ordered))
    return float(np.quantile(1 - uniforms @ steps, LEVEL, method="higher"))


@lru_cache(maxsize=8)
def _ordered_uniforms(size: int) -> np.ndarray:
    """Return rising uniform numbers, [draws, size]."""
    draws = max(DRAWS, min(EXACT_DRAWS, _MOST_CELLS // size))
    uniforms = np.random.default_rng(0).random((draws, size))
    uniforms.sort(axis=1)
    return uniforms


@lru_cache(maxsize=8)
def _draws(size: int, seed: int) -> np.ndarray:
    """Return how often each of ``size`` units is drawn in each of ``DRAWS`` samples of that size, [DRAWS, size]."""
    return np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), DRAWS)
