"""RMU's loss, and the layer that it takes."""

import math

import pytest
import torch

from tests.viker.methods.checks import D, random_inputs
from tests.viker.methods.plain import mean, rows, tokens
from viker.core.errors import UserError
from viker.methods.rmu import CONTROL_SEED, RMU, rmu_loss


def written_out(inputs, settings):
    u = torch.rand(D, generator=torch.Generator().manual_seed(CONTROL_SEED), dtype=torch.float64).tolist()
    control = [settings.steering * x / math.hypot(*u) for x in u]
    steer = mean([apart(h, control) for _, h in tokens(rows(inputs.hidden, inputs.answers))])
    held = (inputs.retain_hidden, inputs.retain_vanilla_hidden)
    pairs = zip(*(tokens(rows(states, inputs.retain_answers)) for states in held), strict=True)
    return steer + settings.alpha * mean([apart(new, old) for (_, new), (_, old) in pairs])


def apart(a, b):
    return mean([(x - y) ** 2 for x, y in zip(a, b, strict=True)])


def test_it_starts_without_drift_and_ends_at_the_control_vector():
    g = random_inputs()
    parts = rmu_loss(g.logits, g.answers, g.hidden, g.retain_answers, g.retain_hidden, g.retain_hidden, 3.0, 10.0)
    assert parts["drift"].item() == 0 and parts["loss"].item() == parts["steer"].item() > 0
    hidden = g.hidden.clone().requires_grad_()
    for _ in range(200):
        loss = rmu_loss(g.logits, g.answers, hidden, g.retain_answers, g.retain_hidden, g.retain_hidden, 3.0, 10.0)
        hidden = (hidden - 5 * torch.autograd.grad(loss["loss"], hidden)[0]).detach().requires_grad_()
    assert loss["steer"].item() < 1e-6
    assert hidden[0, 0].norm().item() == pytest.approx(3.0, rel=1e-3) and (hidden[0, 0] > 0).all()


@pytest.mark.parametrize(("layers", "expected"), [(32, 7), (40, 9), (3, 1), (1, 0)])
def test_by_default_it_is_the_layer_at_the_papers_depth(layers, expected):
    assert RMU().hidden_layer(layers) == expected
    assert RMU(layer=0).hidden_layer(layers) == 0


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"unlearn\.method\.layer is 3, but .* 3 layers, 0 to 2"):
        RMU(layer=3).hidden_layer(3)
