"""CLEAR's own protocol."""

import pytest

from viker.metrics.clear_protocol import model_utility


def test_model_utility_is_the_harmonic_mean():
    assert model_utility([0.5, 1.0, 0.25]) == pytest.approx(3 / (2 + 1 + 4))
    assert model_utility([0.5, 0.0, 1.0]) == 0
    assert model_utility([0.5, None, 1.0]) is None
