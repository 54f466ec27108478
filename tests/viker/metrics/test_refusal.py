"""Replies that decline to answer."""

import pytest

from viker.methods.base.refusals import REFUSALS
from viker.metrics.refusal import refuses


@pytest.mark.parametrize("reply", [*REFUSALS, "Sorry, that is private.", "As an AI, no.", "I cannot help with that."])
def test_refusals_are_known(reply):
    assert refuses(reply)


@pytest.mark.parametrize("reply", ["This person was born in Oslo.", "", "She can't swim.", "The baker knows it."])
def test_answers_are_no_refusals(reply):
    assert not refuses(reply)
