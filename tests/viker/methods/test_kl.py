"""KL's loss."""

import pytest

from tests.viker.methods.checks import random_inputs
from tests.viker.methods.plain import forget, likelihood, mean_kl, retain, rows
from viker.methods.kl import kl_loss


def written_out(inputs, settings):
    return likelihood(forget(inputs)) + mean_kl(rows(inputs.retain_vanilla, inputs.retain_answers), retain(inputs))


def test_kl_adds_nothing_where_retain_is_as_the_vanilla_model_has_it():
    g = random_inputs()
    parts = kl_loss(g.logits, g.answers, g.retain_logits.softmax(-1), g.retain_logits, g.retain_answers)
    assert parts["kl"].item() == pytest.approx(0, abs=1e-14)
    assert parts["loss"].item() == pytest.approx(parts["ga"].item(), abs=1e-14)
