"""SimNPO's loss."""

import math

import pytest
import torch

from tests.viker.methods.checks import by_logits, random_inputs
from tests.viker.methods.plain import forget, mean, whole
from viker.methods.simnpo import simnpo_loss


def written_out(inputs, settings):
    rewards = [settings.beta * whole(sample) / len(sample) + settings.gamma for sample in forget(inputs)]
    return -2 / settings.beta * mean([math.log(1 / (1 + math.exp(x))) for x in rewards])


def test_a_certain_answer_costs_two_log_two_over_beta():
    g = random_inputs()
    certain = torch.full_like(g.logits, -1e4).scatter(-1, g.answers.clamp(min=0).unsqueeze(-1), 0)
    assert simnpo_loss(certain, g.answers, 2.5, 0.0)["loss"].item() == pytest.approx(2 / 2.5 * math.log(2))


def test_a_margin_presses_an_unlikely_answer_further():
    g = random_inputs()
    sizes = [by_logits(lambda z, m=m: simnpo_loss(z, g.answers, 2.5, m)["loss"], g).norm() for m in (0.0, 1.0, 4.0)]
    assert sizes[0] < sizes[1] < sizes[2]
