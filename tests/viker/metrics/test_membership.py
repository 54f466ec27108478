"""Membership inference, by hand."""

import zlib

import pandas as pd
import pytest

from viker.metrics.base.aggregate import membership
from viker.metrics.base.catalogue import metrics_of
from viker.metrics.base.reply import Reply
from viker.metrics.membership import min_k, min_k_plus_plus, zlib_ratio
from viker.models.scores import Scores

METRICS = metrics_of("membership")
NAMES = ("loss_auc", "min_k_auc", "min_k_plus_plus_auc", "zlib_auc")


def test_min_k_is_the_mean_of_the_least_likely_fifth():
    log_p = [-1.0, -9.0, -2.0, -3.0, -7.0, -0.5, -0.1, -0.2, -0.3, -0.4]
    assert min_k(log_p) == pytest.approx(-8.0)
    assert min_k([-1.0, -2.0]) == -2.0


def test_min_k_plus_plus_standardises_each_token():
    unlike = Scores([-1.0, -4.0], [True, False], [-2.0, -1.0], [0.5, 1.5])
    assert min_k_plus_plus(unlike) == pytest.approx((-4 + 1) / 1.5)


def test_the_zlib_ratio_is_nats_a_compressed_byte():
    assert zlib_ratio([-1.0, -2.0], "Oslo") == pytest.approx(-3 / len(zlib.compress(b"Oslo")))


def replies(*log_likelihoods: float) -> pd.DataFrame:
    """Return a table of replies about an answer of one token, as likely as said."""
    rows = []
    for person, value in enumerate(log_likelihoods):
        reply = Reply(text="", answer="Oslo", likelihood=Scores([value], [True], [-1.0], [0.5]))
        cells = {metric.column: metric.of_reply(reply) for metric in METRICS}
        rows.append({"person_id": str(person), "task": "generation"} | cells)
    return pd.DataFrame(rows)


def test_membership_is_the_chance_that_a_members_sign_is_higher():
    members, strangers = replies(-1.0, -3.0), replies(-2.0, -4.0)
    assert membership(members, strangers) == dict.fromkeys(NAMES, 0.75)
    assert membership(members, members)["loss_auc"] == 0.5


def test_without_people_never_seen_there_is_no_membership():
    members = replies(-1.0)
    assert membership(members, members[:0]) == membership(members[:0], members) == dict.fromkeys(NAMES, None)
