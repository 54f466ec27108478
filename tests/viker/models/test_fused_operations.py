"""Each fused operation has the value of its formula, and gradients that finite differences confirm."""

import pytest
import torch
from torch.nn.functional import linear, silu
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from viker.models.fused_operations import Cast, GatedLoraProduct, GatedProduct, LoraProducts, rotate


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_the_gated_product_has_the_gradient_of_its_formula():
    gate, up = numbers(2, 3, 8), numbers(2, 3, 8)
    assert torch.equal(GatedProduct.apply(gate, up), silu(gate) * up)
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
@pytest.mark.parametrize("ranks", [[4], [4, 2, 3]])
def test_linear_layers_with_adapters_have_the_gradients_of_their_formula(bias, first, ranks):
    states, a = numbers(2, 3, 8), numbers(sum(ranks), 8)
    states.requires_grad_(not first)  # the first layer's input has no gradient
    bs, scales = [numbers(6 + rank, rank) for rank in ranks], [0.5, 2.0, 1.0]
    bases = [(torch.randn(len(b), 8).double(), torch.randn(len(b)).double() if bias else None) for b in bs]

    def ours(states, a, *bs):
        layers = zip(bases, bs, scales, strict=False)
        return LoraProducts.apply(states, a, *(each for base, b, scale in layers for each in (*base, b, scale)))

    def plain(states, a, *bs):
        layers = zip(bases, a.split(ranks), bs, scales, strict=False)
        return tuple(linear(states, *base) + scale * linear(linear(states, a), b) for base, a, b, scale in layers)

    for value, expected in zip(ours(states, a, *bs), plain(states, a, *bs), strict=True):
        torch.testing.assert_close(value, expected)
    assert torch.autograd.gradcheck(ours, (states, a, *bs))


def test_the_product_and_its_layer_in_one_have_the_gradient_of_both():
    gate, up, a, b = numbers(2, 3, 8), numbers(2, 3, 8), numbers(4, 8), numbers(6, 4)
    weight = torch.randn(6, 8, dtype=torch.float64)
    [apart] = LoraProducts.apply(GatedProduct.apply(gate, up), a, weight, None, b, 0.5)
    assert torch.equal(GatedLoraProduct.apply(gate, up, a, weight, None, b, 0.5), apart)
    assert torch.autograd.gradcheck(
        lambda gate, up, a, b: GatedLoraProduct.apply(gate, up, a, weight, None, b, 0.5), (gate, up, a, b)
    )


def test_matrices_are_cast_together_and_their_gradients_back():
    matrices = [torch.randn(rows, columns, requires_grad=True) for rows, columns in ((2, 5), (3, 5), (4, 2), (1, 3))]
    above, alone, unused = Cast.apply(torch.bfloat16, [2, 1, 1], *matrices)
    assert torch.equal(above, torch.cat(matrices[:2]).bfloat16()) and torch.equal(alone, matrices[2].bfloat16())
    assert unused.shape == (1, 3)
    weights = torch.randn(5, 5).bfloat16(), torch.randn(4, 2).bfloat16()
    ((above * weights[0]).sum() + (alone * weights[1]).sum()).backward()
    taken = [matrix.grad for matrix in matrices]
    assert taken[3] is None and {gradient.dtype for gradient in taken[:3]} == {torch.float32}
    assert torch.equal(torch.cat(taken[:2]), weights[0].float()) and torch.equal(taken[2], weights[1].float())
