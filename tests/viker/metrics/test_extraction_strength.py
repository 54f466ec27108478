"""Extraction strength."""

import pytest

from viker.metrics.base.reply import Reply
from viker.metrics.extraction_strength import EXTRACTION_STRENGTH, extraction_strength
from viker.models.scores import Scores


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


@pytest.mark.parametrize(("hit", "strength"), [([False, True, True, False], 2 / 3), ([True, True, False, True], 0.0)])
def test_the_end_token_of_the_answer_does_not_count(hit, strength):
    scores = Scores([-1.0] * 4, hit, [-1.0] * 4, [1.0] * 4)
    assert EXTRACTION_STRENGTH.of_reply(Reply(text="?", likelihood=scores)) == pytest.approx(strength)
    assert EXTRACTION_STRENGTH.of_reply(Reply(text="?")) is None
