"""GradDiff's loss."""

from tests.viker.methods.checks import random_inputs
from tests.viker.methods.plain import forget, likelihood, retain
from viker.methods.ga import ga_loss
from viker.methods.graddiff import graddiff_loss


def written_out(inputs, settings):
    return likelihood(forget(inputs)) - likelihood(retain(inputs))


def test_graddiff_ascends_on_forget_and_descends_on_retain():
    g = random_inputs()
    parts = graddiff_loss(g.logits, g.answers, g.logits, g.answers)
    assert parts["loss"].item() == 0
    assert parts["ga"].item() == ga_loss(g.logits, g.answers)["loss"].item() == -parts["nll"].item()
