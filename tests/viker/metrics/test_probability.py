"""The probability of the true answer."""

import math

import pytest

from viker.metrics.probability import normalised_probability, probability
from viker.models.scores import Scores


def test_the_probability_is_that_of_the_geometric_mean_token():
    likely = Scores([math.log(0.5), math.log(0.125)], [True] * 2, [-1.0] * 2, [0.5] * 2)
    assert probability(likely.log_likelihood) == pytest.approx(math.sqrt(0.5 * 0.125))


def test_the_probability_among_options_is_the_share():
    right, wrong = math.log(0.4), [math.log(0.1), math.log(0.3)]
    assert normalised_probability(right, wrong) == pytest.approx(0.4 / 0.8)
    assert normalised_probability(-900.0, [-900.0, -900.0, -900.0]) == pytest.approx(0.25)
