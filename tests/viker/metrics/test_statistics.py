"""Means and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from viker.metrics.base.statistics import interval, mean

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
