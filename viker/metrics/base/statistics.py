"""Means with 95 % bootstrap intervals: people are drawn, not rows, as a person's rows are not independent."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

DRAWS = 2000
LEVEL = 0.95


def exp(value: float) -> float:
    """Return e ** ``value``; infinite where it is too large for a float."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None if there is no value."""
    return float(np.mean(values)) if len(values) else None


def interval(values: Sequence[float], people: Sequence[str], seed: int) -> list[float] | None:
    """Return the 95 % interval [low, high] of the mean of ``values``; None if there is no value.

    Percentile bootstrap: people are drawn with replacement, each with all of their values. If there is only one person,
    values are drawn instead; the interval then applies to this person, not to others.

    ``people`` [N] are the persons of ``values`` [N]; with an infinite value there is no interval. One ``seed`` gives
    the same draws for the same number of people, so that differences are paired.

    Source: Efron and Tibshirani 1993, chapter 13; by cluster: Davison and Hinkley 1997, section 3.8.
    """
    numbers = np.asarray(values, dtype=float)
    if not len(numbers) or not np.isfinite(numbers).all():
        return None
    names, places = np.unique(np.asarray(people, dtype=str), return_inverse=True)
    if len(names) == 1:
        places = np.arange(len(numbers))
    counts = np.bincount(places)
    sums = np.bincount(places, weights=numbers)
    drawn = _draws(len(counts), seed)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


@lru_cache(maxsize=8)
def _draws(size: int, seed: int) -> np.ndarray:
    """Return how often each of ``size`` units is drawn in each of ``DRAWS`` samples of that size, [DRAWS, size]."""
    return np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), DRAWS)
