"""Membership inference: by hand, and as the authors' code has it."""

import math
import zlib

import pytest

from tests.viker.metrics.authors_cases import NEEDS_CASES, cases
from tests.viker.metrics.replies import table
from viker.metrics.base.aggregate import membership
from viker.metrics.base.catalogue import metrics_of
from viker.metrics.base.reply import Reply
from viker.metrics.membership import min_k, min_k_plus_plus, zlib_ratio
from viker.models.scores import Scores

NAMES = (
    *("loss_auc", "min_k_40_auc", "min_k_auc"),
    *("min_k_plus_plus_40_auc", "min_k_plus_plus_auc", "zlib_auc"),
)


def test_min_k_is_the_mean_of_the_least_likely_share():
    log_p = [-1.0, -9.0, -2.0, -3.0, -7.0, -0.5, -0.1, -0.2, -0.3, -0.4]
    assert min_k(log_p, 0.2) == pytest.approx(-8.0)
    assert min_k(log_p, 0.4) == pytest.approx(-21 / 4)
    assert min_k([-1.0, -2.0], 0.2) == -2.0


def test_min_k_plus_plus_standardises_each_token_but_the_end_token():
    unlike = Scores([-1.0, -4.0, -9.0], [True, False, True], [-2.0, -1.0, -1.0], [0.5, 1.5, 0.5])
    assert min_k_plus_plus(unlike, 0.2) == pytest.approx((-4 + 1) / 1.5)


def test_a_token_without_deviation_is_standardised_by_the_floor():
    certain = Scores([-1.0, -1.0], [True, True], [-2.0, -1.0], [0.0, 1.0])
    assert min_k_plus_plus(certain, 0.2) == pytest.approx(1 / math.sqrt(1e-6))


def test_the_zlib_ratio_is_the_mean_per_token_over_the_compressed_bytes():
    scores = Scores([-1.0, -2.0], [True] * 2, [-1.0] * 2, [1.0] * 2)
    assert zlib_ratio(scores, "Oslo") == pytest.approx(-1.5 / len(zlib.compress(b"Oslo")))


def replies(*log_likelihoods: float):
    """Return a table of replies about an answer of one token and its end token, both as likely as said."""
    scores = [Scores([value] * 2, [True] * 2, [-1.0] * 2, [0.5] * 2) for value in log_likelihoods]
    return table([Reply(text="", answer="Oslo", likelihood=each) for each in scores])


def test_membership_is_the_chance_that_a_members_sign_is_higher():
    members, strangers = replies(-1.0, -3.0), replies(-2.0, -4.0)
    assert membership(members, strangers) == dict.fromkeys(NAMES, 0.75)
    assert membership(members, members)["loss_auc"] == 0.5
    assert {metric.name for metric in metrics_of("membership")} == set(NAMES)


def test_without_people_never_seen_there_is_no_membership():
    members = replies(-1.0)
    assert membership(members, members[:0]) == membership(members[:0], members) == dict.fromkeys(NAMES, None)


def test_an_answer_of_an_end_token_alone_has_a_likelihood_and_no_least_likely_tokens():
    alone = Reply(text="", answer="", likelihood=Scores([-1.0], [True], [-1.0], [0.5]))
    signs = {metric.name: metric.of_reply(alone) for metric in metrics_of("membership")}
    assert {name for name, sign in signs.items() if math.isnan(sign)} == {name for name in NAMES if "min_k" in name}


@NEEDS_CASES
def test_each_sign_has_open_unlearnings_auc():
    case = cases()["membership"]

    def side(is_member: bool):
        samples = [sample for sample in case["samples"] if sample["member"] is is_member]
        fields = ("log_p", "hit", "mean", "deviation")
        scores = [Scores(*(sample[field] for field in fields)) for sample in samples]
        pairs = zip(samples, scores, strict=True)
        return table([Reply(text="", answer=sample["answer"], likelihood=each) for sample, each in pairs])

    figures = membership(side(True), side(False))
    for name, expected in case["auc"].items():
        assert figures[f"{name}_auc"] == pytest.approx(expected, abs=5e-5), name
