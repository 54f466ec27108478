"""What tests of models share: the small model with two of its pictures."""

import pytest

from viker.models.encoder import Encoder


@pytest.fixture
def small(small_model):
    model, encoder = small_model
    own = Encoder(
        encoder.processor, {"wide": encoder.pictures["scene-0"], "square": encoder.pictures["scene-1"]}, encoder.device
    )
    return model, own
