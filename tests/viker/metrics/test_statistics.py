"""Means and their intervals."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from viker.metrics.base.statistics import clopper_pearson, exact_interval, interval, mean

VALUES = st.lists(st.floats(-5, 5), min_size=2, max_size=12)


@given(VALUES)
def test_the_interval_lies_around_the_mean_and_within_the_values(values):
    low, high = interval(values, [str(i) for i in range(len(values))], 7)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    if max(values) - min(values) > 1e-6:
        assert low <= mean(values) + 1e-9 and high >= mean(values) - 1e-9


def test_it_is_the_percentile_bootstrap_of_scipy_where_each_person_has_one_value():
    values = np.random.default_rng(1).normal(size=60)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    ours = interval(values.tolist(), [str(i) for i in range(60)], 7)
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.02)


def test_people_are_drawn_and_not_rows():
    """Four people, each all right or all wrong: a hundred rows of each make nothing surer."""
    few = interval([1, 1, 0, 0], list("abcd"), 7)
    many = interval([1] * 200 + [0] * 200, [p for p in "abcd" for _ in range(100)], 7)
    by_row = interval([1] * 200 + [0] * 200, [str(i) for i in range(400)], 7)
    assert few == many == [0, 1]
    assert by_row[1] - by_row[0] < 0.15


def test_the_values_of_one_person_alone_are_drawn():
    low, high = interval([1, 0, 1, 0, 1, 0, 1, 0], ["a"] * 8, 7)
    assert 0 < low < 0.5 < high < 1


def test_nothing_and_what_is_not_finite_have_no_interval():
    assert interval([], [], 7) is None
    assert interval([1.0, float("inf")], ["a", "b"], 7) is None
    assert mean([]) is None


def test_the_same_seed_gives_the_same_interval_and_another_another():
    values, people = np.random.default_rng(1).normal(size=30).tolist(), [str(i) for i in range(30)]
    assert interval(values, people, 7) == interval(values, people, 7) != interval(values, people, 8)


@pytest.mark.parametrize(("hits", "people", "upper"), [(0, 4, 0.5271), (0, 60, 0.0487), (1, 20, 0.2161), (4, 4, 1.0)])
def test_the_exact_bound_of_people_is_clopper_and_pearsons(hits, people, upper):
    shares = [1.0] * hits + [0.0] * (people - hits)
    low, high = exact_interval(shares)
    theirs = binomtest(hits, people).proportion_ci(0.9, "exact")  # each end of it at 95 %
    assert (low, high) == pytest.approx((theirs.low, theirs.high)) and high == pytest.approx(upper, abs=1e-4)
    assert interval(shares, list(map(str, range(people))), 7, (0.0, 1.0)) == [low, high]
    assert clopper_pearson(hits, people) == pytest.approx(high)


def test_the_exact_interval_of_rows_is_that_of_each_persons_mean():
    values, people = [1, 0, 1, 1, 1, 1, 0], list("aabbbbc")
    assert interval(values, people, 7, (0.0, 1.0)) == exact_interval([0.5, 1, 0])


def test_the_exact_interval_is_widened_to_the_mean_of_the_rows():
    """One person of 31 has most of the rows."""
    people = ["a"] * 99 + [str(number) for number in range(30)]
    for share in (0, 1):
        low, high = interval([1 - share] * 99 + [share] * 30, people, 7, (0.0, 1.0))
        own = exact_interval([1 - share] + [share] * 30)
        mean_of_rows = np.mean([1 - share] * 99 + [share] * 30)
        assert [low, high] == ([own[0], mean_of_rows] if share == 0 else [mean_of_rows, own[1]])


@given(st.lists(st.integers(0, 24).map(lambda hits: hits / 24), min_size=1, max_size=12))
def test_exact_bounds_mirror_each_other_and_scale_with_the_range(shares):
    low, high = exact_interval(shares)
    assert 0 <= low <= np.mean(shares) + 1e-9 and np.mean(shares) - 1e-9 <= high <= 1
    assert exact_interval([1 - share for share in shares]) == pytest.approx([1 - high, 1 - low])
    scaled = exact_interval([2 * share - 1 for share in shares], (-1.0, 1.0))
    assert scaled == pytest.approx([2 * low - 1, 2 * high - 1])


RUNS = 400
GRID = itertools.product((4, 20), (1, 6), (0.05, 0.5, 0.9), (0.0, 0.4, 0.9))


@pytest.mark.parametrize(("people", "rows", "rate", "correlation"), list(GRID))
def test_the_exact_bounds_hold_in_95_of_100_samples(people, rows, rate, correlation):
    """Each person has a rate of their own, beta with the mean ``rate``; what they share is the correlation."""
    rng = np.random.default_rng([people, rows, int(100 * rate), int(10 * correlation)])
    spread = (1 - correlation) / correlation if correlation else 0.0
    size = (RUNS, people)
    own = rng.beta(rate * spread, (1 - rate) * spread, size) if correlation else np.full(size, rate)
    shares, places = np.unique(np.sort(rng.binomial(rows, own) / rows, axis=1), axis=0, return_inverse=True)
    low, high = np.array([exact_interval(one) for one in shares])[places.ravel()].T
    allowed = 0.95 - 2.6 * (0.95 * 0.05 / RUNS) ** 0.5  # three sigma of the simulation itself, roughly
    assert (rate <= high + 1e-9).mean() >= allowed
    assert (rate >= low - 1e-9).mean() >= allowed
