"""UNDIAL's loss."""

import math

import torch

from tests.viker.methods.checks import by_logits, random_inputs
from tests.viker.methods.plain import forget, log_softmax, mean, rows, tokens
from viker.methods.undial import undial_loss
from viker.models.encoder import IGNORED


def written_out(inputs, settings):
    losses = []
    pairs = zip(tokens(forget(inputs)), tokens(rows(inputs.vanilla_logits, inputs.answers)), strict=True)
    for (y, student), (_, frozen) in pairs:
        soft = [math.exp(x) for x in log_softmax([z - settings.beta * (v == y) for v, z in enumerate(frozen)])]
        losses.append(-math.fsum(a * b for a, b in zip(soft, log_softmax(student), strict=True)))
    return mean(losses)


def test_the_minimum_is_the_frozen_model_with_the_true_tokens_lowered():
    g = random_inputs()
    answers = g.answers.clamp(min=0).unsqueeze(-1)
    aim = g.vanilla_logits - 3.0 * torch.zeros_like(g.logits).scatter(-1, answers, 1.0)
    g.logits = aim
    at_the_aim = by_logits(lambda logits: undial_loss(logits, g.answers, g.vanilla_logits, 3.0)["loss"], g)
    assert at_the_aim[g.answers != IGNORED].abs().max() < 1e-15
    before = undial_loss(g.vanilla_logits, g.answers, g.vanilla_logits, 3.0)
    after = undial_loss(aim, g.answers, g.vanilla_logits, 3.0)
    assert after["loss"] < before["loss"] and after["ga"] < before["ga"]
