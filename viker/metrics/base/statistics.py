"""Means with 95 % intervals by bootstrap: people are drawn, not rows, for the rows of a person go together."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

DRAWS = 2000
LEVEL = 0.95


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, None of nothing."""
    return float(np.mean(values)) if len(values) else None


def interval(values: Sequence[float], people: Sequence[str], seed: int) -> list[float] | None:
    """Return the 95 % interval [low, high] of the mean of ``values``, None of nothing.

    Percentile bootstrap: people are drawn with replacement, each with all of their values. Of one person alone the
    values are drawn: what the interval then says is how sure the number is for this person, not for others.

    Args:
        values: N numbers; an infinite one gives no interval.
        people: N, whose each value is.
        seed: the same draws for the same number of people, so that differences are paired.

    Source: Efron and Tibshirani 1993, chapter 13; by cluster: Davison and Hinkley 1997, section 3.8.
    """
    found = np.asarray(values, dtype=float)
    if not len(found) or not np.isfinite(found).all():
        return None
    names, places = np.unique(np.asarray(people, dtype=str), return_inverse=True)
    if len(names) == 1:
        places = np.arange(len(found))
    counts = np.bincount(places)
    sums = np.bincount(places, weights=found)
    drawn = _draws(len(counts), seed)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


@lru_cache(maxsize=8)
def _draws(size: int, seed: int) -> np.ndarray:
    """Return how often each of ``size`` units is drawn in each of ``DRAWS`` samples of that size, [DRAWS, size]."""
    return np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), DRAWS)
