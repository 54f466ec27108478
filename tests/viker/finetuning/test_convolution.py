"""Convolutions in training sum in parts of the same length on every processor, and are what they were afterwards."""

import numpy as np
import pytest
import torch
from torch import nn

from viker.finetuning.convolution import IN_A_ROW, same_convolutions

PIXELS = torch.randn(32, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def patches(side: int, bias: bool = False) -> nn.Conv2d:
    torch.manual_seed(2)
    return nn.Conv2d(3, 8, side, side, bias=bias)


def in_a_row(numbers: np.ndarray, weights: np.ndarray) -> np.float32:
    """Return the sum of the products as fused multiply and add gives it, one after the other."""
    total = np.float32(0)
    for number, weight in zip(numbers, weights, strict=True):
        total = np.float32(np.float64(number) * np.float64(weight) + np.float64(total))
    return total


def test_a_patch_of_432_numbers_is_summed_in_two_parts():
    convolution = patches(12)
    with same_convolutions(convolution), torch.no_grad():
        found = convolution(PIXELS)[0].reshape(8, -1).numpy()
    columns = nn.functional.unfold(PIXELS[:1], 12, stride=12)[0].numpy()
    weights = convolution.weight.detach().reshape(8, -1).numpy()
    assert weights.shape[1] == 432 > IN_A_ROW
    for channel, place in ((0, 0), (3, 1), (5, 2), (7, 3)):
        parts = [
            in_a_row(columns[part, place], weights[channel, part]) for part in (slice(IN_A_ROW), slice(IN_A_ROW, None))
        ]
        assert found[channel, place] == parts[0] + parts[1]


@pytest.mark.parametrize(("side", "bias"), [(12, False), (12, True), (6, True)])
def test_the_values_and_gradients_are_those_of_the_convolution(side, bias):
    convolution = patches(side, bias)
    plain = convolution(PIXELS)
    (expected,) = torch.autograd.grad(plain.square().mean(), convolution.weight)
    with same_convolutions(convolution):
        parts = convolution(PIXELS)
        (found,) = torch.autograd.grad(parts.square().mean(), convolution.weight)
    torch.testing.assert_close(parts, plain, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_afterwards_convolutions_and_onednn_are_as_before():
    convolution, before = patches(12), torch.backends.mkldnn.enabled
    with pytest.raises(RuntimeError, match="stop"), same_convolutions(nn.Sequential(convolution)):
        assert not torch.backends.mkldnn.enabled and "forward" in vars(convolution)
        raise RuntimeError("stop")
    assert torch.backends.mkldnn.enabled == before and "forward" not in vars(convolution)
