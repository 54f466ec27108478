"""Each fused operation has the value of its formula, and gradients that finite differences confirm."""

import pytest
import torch
from torch.nn import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from viker.models.fused_operations import GatedLoraProduct, GatedProduct, LoraProduct, rotate


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_the_gated_product_has_the_gradient_of_its_formula():
    gate, up = numbers(2, 3, 8), numbers(2, 3, 8)
    assert torch.equal(GatedProduct.apply(gate, up), functional.silu(gate) * up)
    assert torch.autograd.gradcheck(GatedProduct.apply, (gate, up))


@pytest.mark.parametrize("axis", [1, 2])
def test_a_rotation_is_that_of_transformers_with_its_gradient(axis):
    shape = (2, 3, 5, 8) if axis == 1 else (2, 5, 3, 8)
    queries, keys, angles = numbers(*shape), numbers(*shape), torch.randn(2, 5, 8, dtype=torch.float64)
    cos, sin = angles.cos(), angles.sin()
    for ours, theirs in zip(
        rotate(queries, keys, cos, sin, axis), apply_rotary_pos_emb(queries, keys, cos, sin, axis), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(lambda q, k: rotate(q, k, cos, sin, axis), (queries, keys))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_linear_layer_with_an_adapter_has_the_gradient_of_its_formula(bias, first):
    states, a, b = numbers(2, 3, 8), numbers(4, 8), numbers(6, 4)
    weight, added = torch.randn(6, 8, dtype=torch.float64), torch.randn(6, dtype=torch.float64) if bias else None
    states.requires_grad_(not first)  # the first layer's input has no gradient
    plain = functional.linear(states, weight, added) + 0.5 * functional.linear(functional.linear(states, a), b)
    torch.testing.assert_close(LoraProduct.apply(states, weight, added, a, b, 0.5), plain)
    assert torch.autograd.gradcheck(
        lambda *given: LoraProduct.apply(given[0], weight, added, *given[1:], 0.5), (states, a, b)
    )


def test_the_product_and_its_layer_in_one_have_the_gradient_of_both():
    gate, up, a, b = numbers(2, 3, 8), numbers(2, 3, 8), numbers(4, 8), numbers(6, 4)
    weight = torch.randn(6, 8, dtype=torch.float64)
    apart = LoraProduct.apply(GatedProduct.apply(gate, up), weight, None, a, b, 0.5)
    assert torch.equal(GatedLoraProduct.apply(gate, up, weight, None, a, b, 0.5), apart)
    assert torch.autograd.gradcheck(
        lambda *given: GatedLoraProduct.apply(*given[:2], weight, None, *given[2:], 0.5), (gate, up, a, b)
    )
