"""A model that says different things."""

import copy

import pytest


@pytest.fixture(scope="module")
def talkative(small_model):
    """The small model with larger weights: what it says depends on what it is asked."""
    model, encoder = copy.deepcopy(small_model[0]), small_model[1]
    for parameter in model.parameters():
        parameter.data *= 6 if parameter.ndim > 1 else 1
    return model, encoder
