"""What likelihoods tell, by hand and beside SciPy and scikit-learn."""

import math
import zlib

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from viker.evaluation.retrained import forget_quality
from viker.metrics.clear_benchmark import model_utility
from viker.metrics.likelihood import (
    Scores,
    extraction_strength,
    min_k,
    min_k_plus_plus,
    normalised_probability,
    probability,
    zlib_ratio,
)
from viker.metrics.membership import SIGNS, membership, signs

RATIOS = st.lists(st.floats(0, 10), min_size=1, max_size=30)


def scores(log_p, mean=-1.0, deviation=0.5):
    return Scores(log_p, [True] * len(log_p), [mean] * len(log_p), [deviation] * len(log_p))


def test_the_probability_is_that_of_the_geometric_mean_token():
    likely = scores([math.log(0.5), math.log(0.125)])
    assert probability(likely.log_likelihood) == pytest.approx(math.sqrt(0.5 * 0.125))


def test_the_probability_among_options_is_the_share():
    right, wrong = math.log(0.4), [math.log(0.1), math.log(0.3)]
    assert normalised_probability(right, wrong) == pytest.approx(0.4 / 0.8)
    assert normalised_probability(-900.0, [-900.0, -900.0, -900.0]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("hit", "strength"),
    [
        ([True, True, True, True], 1.0),
        ([False, True, True, True], 0.75),
        ([True, False, True, True], 0.5),
        ([True, True, True, False], 0.0),
        ([False, False], 0.0),
        ([], 0.0),
    ],
)
def test_extraction_strength_counts_the_tokens_that_need_not_be_given(hit, strength):
    assert extraction_strength(hit) == strength


def test_min_k_is_the_mean_of_the_least_likely_fifth():
    log_p = [-1.0, -9.0, -2.0, -3.0, -7.0, -0.5, -0.1, -0.2, -0.3, -0.4]
    assert min_k(log_p) == pytest.approx(-8.0)
    assert min_k([-1.0, -2.0]) == -2.0


def test_min_k_plus_plus_standardises_each_token():
    unlike = Scores([-1.0, -4.0], [True, False], [-2.0, -1.0], [0.5, 1.5])
    assert min_k_plus_plus(unlike) == pytest.approx((-4 + 1) / 1.5)


def test_the_zlib_ratio_is_nats_a_compressed_byte():
    assert zlib_ratio([-1.0, -2.0], "Oslo") == pytest.approx(-3 / len(zlib.compress(b"Oslo")))


def test_membership_is_the_chance_that_a_members_sign_is_higher():
    members = pd.DataFrame([signs(scores([value]), "Oslo") for value in (-1.0, -3.0)])
    strangers = pd.DataFrame([signs(scores([value]), "Oslo") for value in (-2.0, -4.0)])
    found = membership(members, strangers)
    assert found == dict.fromkeys((f"{name}_auc" for name in SIGNS), 0.75)
    assert membership(members, members)["loss_auc"] == 0.5
    assert membership(members, strangers[:0]) == dict.fromkeys((f"{name}_auc" for name in SIGNS), None)


@given(RATIOS, RATIOS)
def test_forget_quality_is_scipys_ks_test(ours, gold):
    assert forget_quality(ours, gold) == pytest.approx(ks_2samp(ours, gold).pvalue)


def test_forget_quality_by_hand():
    """Of 3 against 3 all apart, two of the 20 ways to mix them are as far apart: p = 0.1."""
    assert forget_quality([1, 2, 3], [4, 5, 6]) == pytest.approx(0.1)
    assert forget_quality([1, 2, 3], [1, 2, 3]) == 1
    assert forget_quality([], [1]) is None


def test_model_utility_is_the_harmonic_mean():
    assert model_utility([0.5, 1.0, 0.25]) == pytest.approx(3 / (2 + 1 + 4))
    assert model_utility([0.5, 0.0, 1.0]) == 0
    assert model_utility([0.5, None, 1.0]) is None
