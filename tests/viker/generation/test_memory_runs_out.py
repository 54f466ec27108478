"""Replies and likelihoods of a model that runs out of memory are those of one that doesn't."""

import re
from dataclasses import replace
from functools import partial

import pytest

from tests.viker.generation.test_generate import SAMPLES, None_if_asked
from tests.viker.models.short_memory import short_of_memory
from viker.core.errors import UserError
from viker.core.run_store import RunStore
from viker.generation.generate import replies
from viker.generation.memory import likelihoods_bytes, replies_bytes
from viker.generation.score import token_scores
from viker.models import kept_prefixes
from viker.models.fast_path import fallbacks, start_run
from viker.models.fitting import RESERVE
from viker.models.shared_prefix import DECODING, TREE
from viker.models.sizes import language_sizes, lengths_of

PLENTY = float("inf")


def ask(model, encoder, store=None):
    return replies(model, encoder, SAMPLES, 4, 6, "asking", store)


def score(model, encoder, store=None):
    return token_scores(model, encoder, SAMPLES, 4, "", store)


def same(results, expected):
    if isinstance(expected[0], str):
        return results == expected
    columns = [(one.log_p, one.mean, one.deviation) for one in results]
    return columns == [
        tuple(pytest.approx(column, abs=1e-4) for column in (one.log_p, one.mean, one.deviation)) for one in expected
    ]


@pytest.fixture(params=["shared", "plain"])
def way(request, monkeypatch):
    """The fast ways, and the plain ones."""
    if request.param == "plain":
        for path in (DECODING, TREE):
            monkeypatch.setattr(type(path), "take", lambda self, model, fast, plain: plain())
    return request.param


@pytest.mark.parametrize(("compute", "what"), [(ask, "replies"), (score, "likelihoods")])
def test_results_are_those_of_enough_memory_and_one_line_says_so(talkative, way, compute, what, tmp_path):
    model, encoder = talkative
    with short_of_memory(model, PLENTY) as passes:
        expected = compute(model, encoder)
    start_run()
    with short_of_memory(model, max(passes) - 1):
        store = RunStore(tmp_path / "short", {})
        assert same(compute(model, encoder, store), expected)
        halved = [one for one in fallbacks() if one["what"] == f"full batch of {what}"]
        assert len(halved) == 1 and re.fullmatch("[12] of [34] samples fit the memory", halved[0]["reason"])
        before = fallbacks()
        assert same(compute(model, encoder), expected) and fallbacks() == before
    whole = RunStore(tmp_path / "whole", {})
    start_run()
    compute(model, encoder, whole)
    assert store.results.keys() == whole.results.keys()
    assert same(compute(None_if_asked(model), encoder, store), expected)


@pytest.mark.parametrize("compute", [ask, score])
def test_a_sample_that_does_not_fit_alone_ends_with_a_users_error(talkative, way, compute):
    model, encoder = talkative
    with short_of_memory(model, 1), pytest.raises(UserError, match="a single sample doesn't fit"):
        compute(model, encoder)


def test_pictures_are_no_longer_kept_for_several_batches_where_they_and_a_batch_do_not_fit(talkative):
    model, encoder = talkative
    samples = [replace(SAMPLES[3], picture=picture) for picture in list(encoder.pictures)[:12]]
    with short_of_memory(model, PLENTY) as passes:
        expected = replies(model, encoder, samples, 4, 6, "asking")
    start_run()
    with short_of_memory(model, passes[0] - 1) as fewer:  # the pictures of all batches in one pass
        assert replies(model, encoder, samples, 4, 6, "asking") == expected
    reason = "the memory doesn't hold 12 pictures besides a batch"
    assert fallbacks() == [{"what": "reading of pictures for several batches", "reason": reason}]
    assert len(fewer) > len(passes)


@pytest.mark.parametrize(
    ("compute", "needed", "what"),
    [(ask, partial(replies_bytes, most=6), "replies"), (score, likelihoods_bytes, "likelihoods")],
)
@pytest.mark.parametrize("pictures_and_samples", [(2, 2), (2, 4)])
def test_a_pass_begins_with_what_the_free_memory_of_a_gpu_holds(
    talkative, monkeypatch, compute, needed, what, pictures_and_samples
):
    model, encoder = talkative
    with short_of_memory(model, PLENTY) as whole:
        expected = compute(model, encoder)
    start_run()
    pictures, samples = pictures_and_samples
    lengths = lengths_of(encoder, model, [sample for sample in SAMPLES if sample.picture])
    free = needed(language_sizes(model.config), 4, lengths, samples, pictures) / (1 - RESERVE) + 1
    monkeypatch.setattr(kept_prefixes, "free_bytes", lambda device: free)
    with short_of_memory(model, PLENTY) as passes:
        assert same(compute(model, encoder), expected)
    if samples == 4:
        assert fallbacks() == [] and passes == whole
    else:
        assert [one["what"] for one in fallbacks()] == [f"full batch of {what}"] and max(passes) < max(whole)
