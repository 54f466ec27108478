"""Extraction strength."""

import pytest

from viker.metrics.extraction_strength import extraction_strength


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
