"""IdkPO's loss."""

import math

import pytest

from tests.viker.methods.checks import gradients, random_inputs, settings_of
from tests.viker.methods.plain import forget, mean, ratios, rows
from viker.methods.idk import METHOD, idk_loss
from viker.models.encoder import IGNORED


def written_out(inputs, settings):
    true = ratios(forget(inputs), rows(inputs.vanilla_logits, inputs.answers))
    batches = (inputs.refusal_logits, inputs.refusal_vanilla_logits)
    refused = ratios(*(rows(logits, inputs.refusal_answers) for logits in batches))
    margins = [settings.beta * (a - b) for a, b in zip(refused, true, strict=True)]
    return -2 / settings.beta * mean([math.log(1 / (1 + math.exp(-x))) for x in margins])


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
