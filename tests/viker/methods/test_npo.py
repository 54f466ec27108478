"""NPO's loss."""

import math

import pytest
import torch

from tests.viker.methods.checks import by_logits, random_inputs
from tests.viker.methods.plain import forget, mean, ratios, rows
from viker.methods.base.tokens import log_likelihoods
from viker.methods.npo import npo_loss
from viker.models.encoder import IGNORED


def written_out(inputs, settings):
    logs = ratios(forget(inputs), rows(inputs.vanilla_logits, inputs.answers))
    return 2 / settings.beta * mean([math.log(1 + math.exp(settings.beta * x)) for x in logs])


def test_npo_becomes_gradient_ascent_on_whole_answers_as_beta_goes_to_zero():
    g = random_inputs()
    npo = by_logits(lambda logits: npo_loss(logits, g.answers, g.vanilla_logits, 1e-7)["loss"], g)
    ascent = by_logits(lambda logits: log_likelihoods(logits, g.answers).mean(), g)
    torch.testing.assert_close(npo, ascent, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("beta", [0.05, 0.1, 1.0])
def test_npo_starts_at_two_log_two_over_beta(beta):
    g = random_inputs()
    parts = npo_loss(g.logits, g.answers, g.logits, beta)
    assert parts["loss"].item() == pytest.approx(2 / beta * math.log(2), rel=1e-12)
    assert parts["ratio"].item() == 0


def test_npo_presses_an_answer_less_the_less_likely_it_is():
    g = random_inputs()
    g.answers[1] = IGNORED
    sizes = []
    for likelier in (0.0, -5.0, -10.0):
        g.logits = g.vanilla_logits.clone()
        g.logits[0, torch.arange(4), g.answers[0]] += likelier
        npo = by_logits(lambda logits: npo_loss(logits, g.answers, g.vanilla_logits, 0.5)["loss"], g)
        ascent = by_logits(lambda logits: log_likelihoods(logits, g.answers).mean(), g)
        sizes.append((npo.norm() / ascent.norm()).item())
    assert sizes[0] == pytest.approx(1) and sizes[0] > sizes[1] > sizes[2]
