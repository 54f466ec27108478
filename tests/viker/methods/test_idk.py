"""IdkPO's loss."""

import math

import pytest

from tests.viker.methods.checks import gradients, random_inputs, settings_of
from viker.methods.idk import METHOD, idk_loss
from viker.models.encoder import IGNORED


@pytest.mark.parametrize("beta", [0.05, 0.1, 1.0])
def test_idk_starts_at_two_log_two_over_beta(beta):
    g = random_inputs()
    parts = idk_loss(g.logits, g.answers, g.logits, g.refusal_logits, g.refusal_answers, g.refusal_logits, beta)
    assert parts["loss"].item() == pytest.approx(2 / beta * math.log(2), rel=1e-12)
    assert parts["ratio"].item() == parts["refusal"].item() == 0


def test_idk_prefers_the_refusal():
    g = random_inputs()
    by_name = gradients(lambda inputs: METHOD(inputs, settings_of(METHOD)), g)
    for name, answers, sign in (("logits", g.answers, 1), ("refusal_logits", g.refusal_answers, -1)):
        mask = answers != IGNORED
        true = by_name[name][mask].gather(-1, answers[mask].unsqueeze(-1))
        assert (sign * true > 0).all()
