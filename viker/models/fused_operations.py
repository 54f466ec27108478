"""Operations of a Llama layer with a backward pass of their own: fewer kernels, and less kept for it.

Each has the value and the gradients that autograd finds of the plain operations, up to rounding. Letters: T tokens, d
and m widths, r rank of the adapter.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


def rms_norm(norm: Any, states: Tensor) -> Tensor:
    """Return x / sqrt(mean(x^2) + eps) * weight [..., d] by torch's RMSNorm, one kernel on a GPU.

    There it keeps x as it is, where the plain operations keep it in float32, twice.
    """
    value: Tensor = functional.rms_norm(states, norm.weight.shape, norm.weight, norm.variance_epsilon)
    return value


class GatedProduct(Function):
    """silu(gate) * up [..., m]; the backward pass computes the activation again instead of keeping it."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        """Return the product."""
        ctx.save_for_backward(gate, up)
        return functional.silu(gate) * up

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of gate and up."""
        return _of_factors(gradient, *ctx.saved_tensors)


class Rotation(Function):
    """x cos + rotate_half(x) sin of queries or keys x [B, h, T, d]: rotary positions (Su et al., arXiv 2104.09864).

    rotate_half exchanges the halves of d, and changes the sign of what comes first then. Its transpose is its negative,
    so the gradient is rotated back: g cos - rotate_half(g sin).
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return x rotated; cos and sin are [B, 1, T, d] and have no gradient."""
        ctx.save_for_backward(cos, sin)
        first, last = states.chunk(2, -1)
        sin_first, sin_last = sin.chunk(2, -1)
        rotated = states * cos
        out_first, out_last = rotated.chunk(2, -1)
        out_first.addcmul_(last, sin_first, value=-1)
        out_last.addcmul_(first, sin_last)
        return rotated

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of x."""
        cos, sin = ctx.saved_tensors
        first, last = gradient.chunk(2, -1)
        sin_first, sin_last = sin.chunk(2, -1)
        back = gradient * cos
        back_first, back_last = back.chunk(2, -1)
        back_first.addcmul_(last, sin_last)
        back_last.addcmul_(first, sin_first, value=-1)
        return back, None, None


def rotate(queries: Tensor, keys: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
    """Return queries and keys rotated by their positions, as ``apply_rotary_pos_emb`` of transformers' Llama does."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    turned: list[Tensor] = [Rotation.apply(states, cos, sin) for states in (queries, keys)]
    return turned[0], turned[1]


class LoraProducts(Function):
    """x W^T + bias + s (x A^T) B^T [..., out] for n frozen linear layers of the same input x, each with its adapter.

    Called with x, the layers' A one below the other [r_1 + ... + r_n, in], and W [out, in], bias or None, B [out, r]
    and s of each layer. Where A and B aren't in the precision of x, they are cast, see ``viker.models.lora_precision``.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, a: Tensor, *layers: Any) -> tuple[Tensor, ...]:
        """Return the output of each layer."""
        return _with_adapters(ctx, states, (states,), a, layers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, of A, and of each B; W and bias are frozen."""
        return _of_layers(ctx, ctx.needs_input_grad[0], ctx.needs_input_grad[1:], gradients, *ctx.saved_tensors)


class GatedLoraProduct(Function):
    """``LoraProducts`` of ``GatedProduct`` for a single layer: what comes between isn't kept but computed again."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, a: Tensor, *layer: Any) -> Tensor:
        """Return the layer's output."""
        return _with_adapters(ctx, functional.silu(gate) * up, (gate, up), a, layer)[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of gate, up, A and B."""
        gate, up, *kept = ctx.saved_tensors
        states = functional.silu(gate) * up
        below, *of_layer = _of_layers(ctx, True, ctx.needs_input_grad[2:], (gradient,), states, *kept)
        return *_of_factors(below, gate, up), *of_layer


class Cast(Function):
    """Matrices in another precision, several one below the other where they belong together, all by one operation."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, counts: Sequence[int], *matrices: Tensor) -> tuple[Tensor, ...]:
        """Return one tensor [sum of rows, columns] for each of ``counts``, of as many matrices [rows, columns]."""
        ctx.stored, ctx.rows, rest = matrices[0].dtype, [], list(matrices)
        whole, parts = [], []
        for count in counts:
            rows = [len(matrix) for matrix in rest[:count]]
            whole.append(rest[0].new_empty(sum(rows), rest[0].shape[1], dtype=dtype))
            parts += whole[-1].split(rows)
            ctx.rows.append(rows)
            del rest[:count]
        torch._foreach_copy_(parts, matrices)
        ctx.set_materialize_grads(False)
        return tuple(whole)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of the matrices, in their precision."""
        parts: list[Tensor | None] = []
        for rows, gradient in zip(ctx.rows, gradients, strict=True):
            parts += [None] * len(rows) if gradient is None else gradient.split(rows)
        there = [part for part in parts if part is not None]
        stored = [torch.empty_like(part, dtype=ctx.stored) for part in there]
        if there:
            torch._foreach_copy_(stored, there)
        return None, None, *(None if part is None else stored.pop(0) for part in parts)


def _of_factors(gradient: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of gate and up by that of silu(gate) * up."""
    return torch.ops.aten.silu_backward(gradient * up, gate), functional.silu(gate).mul_(gradient)


def _with_adapters(
    ctx: Any, states: Tensor, kept: tuple[Tensor, ...], a: Tensor, layers: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    """Return ``LoraProducts``' value, and save ``kept`` and what ``_of_layers`` takes for the backward pass."""
    weights, biases, bs, ctx.scales = (layers[place::4] for place in range(4))
    ctx.stored = a.dtype
    a, bs = a.to(states.dtype), tuple(b.to(states.dtype) for b in bs)
    low = functional.linear(states, a)
    outs = tuple(map(functional.linear, [states] * len(bs), weights, biases))
    for out, part, b, scale in zip(outs, _rows(low).split(_ranks(bs), 1), bs, ctx.scales, strict=True):
        _rows(out).addmm_(part, b.T, alpha=scale)
    ctx.save_for_backward(*kept, low, a, *weights, *bs)
    return outs


def _of_layers(
    ctx: Any,
    below: bool,
    needed: Sequence[bool],
    gradients: Sequence[Tensor],
    states: Tensor,
    low: Tensor,
    a: Tensor,
    *layers: Tensor,
) -> tuple[Any, ...]:
    """Return the gradients of x, if ``below`` is wanted, of A, and of each layer's W, bias, B and s.

    ``needed``: whether those of A and of each layer's tensors are; those of W, bias and s are None.
    """
    weights, bs = layers[: len(gradients)], layers[len(gradients) :]
    rows, of_outs = states.reshape(-1, states.shape[-1]), [each.reshape(-1, each.shape[-1]) for each in gradients]
    lows, of_low = _rows(low).split(_ranks(bs), 1), torch.empty_like(_rows(low))
    for part, of_out, b, scale in zip(of_low.split(_ranks(bs), 1), of_outs, bs, ctx.scales, strict=True):
        part.addmm_(of_out, b, beta=0, alpha=scale)  # with beta 0, what was there doesn't count
    of_states = None
    if below:
        of_states = of_outs[0] @ weights[0]
        for of_out, weight in [*zip(of_outs[1:], weights[1:], strict=True), (of_low, a)]:
            of_states.addmm_(of_out, weight)
        of_states = of_states.view(states.shape)
    of_layers: list[Tensor | None] = []
    for wanted, of_out, part, b, scale in zip(needed[3::4], of_outs, lows, bs, ctx.scales, strict=True):
        of_b = torch.addmm(b, of_out.T, part, beta=0, alpha=scale).to(ctx.stored) if wanted else None
        of_layers += [None, None, of_b, None]
    return of_states, (of_low.T @ rows).to(ctx.stored) if needed[0] else None, *of_layers


def _ranks(bs: Sequence[Tensor]) -> list[int]:
    return [b.shape[1] for b in bs]


def _rows(states: Tensor) -> Tensor:
    return states.view(-1, states.shape[-1])
