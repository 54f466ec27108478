"""Operations of a Llama layer with a backward pass of their own: fewer kernels, and less kept for it.

Each has the value and the gradients that autograd finds of the plain operations, up to rounding. Letters: T tokens, d
and m widths, r rank of the adapter.
"""

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


class LoraProduct(Function):
    """x W^T + bias + s (x A^T) B^T [..., out]: a frozen linear layer and its adapter, added within the product.

    A [r, in] and B [out, r] are computed with in the precision of x, see ``viker.models.lora_precision``.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, *layer: Any) -> Tensor:
        """Return the sum; ``layer``: W [out, in], bias or None, A, B and s."""
        return _with_adapter(ctx, states, (states,), *layer)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, A and B; W and bias are frozen."""
        return _of_layer(ctx, ctx.needs_input_grad[0], gradient, *ctx.saved_tensors)


class GatedLoraProduct(Function):
    """``LoraProduct`` of ``GatedProduct``: what comes between the two isn't kept but computed again."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, *layer: Any) -> Tensor:
        """Return what the layer makes of silu(gate) * up; ``layer`` as in ``LoraProduct``."""
        return _with_adapter(ctx, functional.silu(gate) * up, (gate, up), *layer)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of gate, up, A and B."""
        gate, up, *kept = ctx.saved_tensors
        below, *of_layer = _of_layer(ctx, True, gradient, functional.silu(gate) * up, *kept)
        return *_of_factors(below, gate, up), *of_layer


def _of_factors(gradient: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of gate and up by that of silu(gate) * up."""
    return torch.ops.aten.silu_backward(gradient * up, gate), functional.silu(gate).mul_(gradient)


def _with_adapter(
    ctx: Any,
    states: Tensor,
    kept: tuple[Tensor, ...],
    weight: Tensor,
    bias: Tensor | None,
    a: Tensor,
    b: Tensor,
    scale: float,
) -> Tensor:
    """Return ``LoraProduct``'s value, and save ``kept`` and what ``_of_layer`` takes for the backward pass."""
    ctx.scale, ctx.stored = scale, a.dtype
    a, b = a.to(states.dtype), b.to(states.dtype)
    out, low = functional.linear(states, weight, bias), functional.linear(states, a)
    ctx.save_for_backward(*kept, low, weight, a, b)
    _rows(out).addmm_(_rows(low), b.T, alpha=scale)
    return out


def _of_layer(
    ctx: Any, below: bool, gradient: Tensor, states: Tensor, low: Tensor, weight: Tensor, a: Tensor, b: Tensor
) -> tuple[Any, ...]:
    """Return the gradients of x, if ``below`` is wanted, W, bias, A, B and s; those of W, bias and s are None."""
    *_, of_a, of_b, _ = ctx.needs_input_grad
    gradient, low, rows = gradient.reshape(-1, gradient.shape[-1]), _rows(low), states.reshape(-1, states.shape[-1])
    of_low = torch.addmm(low, gradient, b, beta=0, alpha=ctx.scale)  # with beta 0, what is added to doesn't count
    return (
        (gradient @ weight).addmm_(of_low, a).view(states.shape) if below else None,
        None,
        None,
        (of_low.T @ rows).to(ctx.stored) if of_a else None,
        torch.addmm(b, gradient.T, low, beta=0, alpha=ctx.scale).to(ctx.stored) if of_b else None,
        None,
    )


def _rows(states: Tensor) -> Tensor:
    return states.view(-1, states.shape[-1])
