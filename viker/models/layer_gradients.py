"""Whether a fast path's gradients are the plain ones: the language model's last layer computes both, on its own."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from viker.models.encoder import Batch
from viker.models.fast_path import compared_in_float32
from viker.models.hidden_states import decoder_layers
from viker.models.logits import answer_logits

ADDED = 0.02
"""Standard deviation of what stands in for an adapter's zeros: that of a language model's own weights at first."""


class LayerGradients:
    """The gradients of one layer: of its input, and of each weight in training, for a random gradient of its output.

    One layer is enough where all are computed by the same code, and its copies, one of them in float32, fit where a
    step does. They are alike for two ways to compute the layer if their backward passes are.
    """

    def __init__(self, model: Any, batch: Batch, forwards: Callable[[nn.Module], Mapping[nn.Module, Any]]) -> None:
        """Keep what the last layer is given for ``batch``.

        ``forwards``: returns, for a layer, what computes its modules in the fast way.
        """
        layer = decoder_layers(model)[-1]
        given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        hook = layer.register_forward_pre_hook(lambda _, args, kwargs: given.append((args, kwargs)), with_kwargs=True)
        try:
            with torch.no_grad():
                answer_logits(model, batch)
        finally:
            hook.remove()
        (self.states, *self.args), self.kwargs = given[0]
        self.copies = {self.states.dtype: copy.deepcopy(layer)}
        if compared_in_float32(model, self.states.dtype):
            self.copies[torch.float32] = copy.deepcopy(layer).float()
        self.forwards = forwards
        self.norms = [gradient.norm().item() or 1.0 for gradient in self._taken(fast=False)]

    def fast(self) -> Tensor:
        """Return the gradients of the fast way, one after the other, each divided by the norm of the plain one."""
        return self._scaled(fast=True)

    def plain(self) -> Tensor:
        """Return those of the plain way, in the precision of the layer's input: float32 within ``in_float32``."""
        return self._scaled(fast=False)

    def _scaled(self, fast: bool) -> Tensor:
        taken = zip(self._taken(fast), self.norms, strict=True)
        return torch.cat([gradient.flatten() / norm for gradient, norm in taken]).to(self.states.dtype)

    def _taken(self, fast: bool) -> list[Tensor]:
        dtype = self.states.dtype  # float32 within ``in_float32``
        layer = self.copies[dtype]
        states, args, kwargs = tree_map(
            lambda value: value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value,
            (self.states.detach(), self.args, self.kwargs),
        )
        wanted = [states.requires_grad_(), *(weight for weight in layer.parameters() if weight.requires_grad)]
        with torch.enable_grad(), _computed_by(self.forwards(layer) if fast else {}):
            out = layer(states, *args, **kwargs)
        out = out[0] if isinstance(out, tuple) else out
        above = torch.randn(out.shape, generator=torch.Generator().manual_seed(0)).to(out)
        return list(torch.autograd.grad(out, wanted, above))


@contextmanager
def _computed_by(forwards: Mapping[nn.Module, Any]) -> Iterator[None]:
    for module, forward in forwards.items():
        vars(module)["forward"] = forward
    try:
        yield
    finally:
        for module in forwards:
            del vars(module)["forward"]


@contextmanager
def adapter_that_adds(model: Any) -> Iterator[None]:
    """Within it, an adapter whose B is 0, as before training, adds something: logits then tell how it is computed."""
    silent = [(b, b.detach().clone()) for name, b in model.named_parameters() if "lora_B" in name and not b.any()]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for b, _ in silent:
            b.copy_(torch.randn(b.shape, generator=generator) * ADDED)
        try:
            yield
        finally:
            for b, before in silent:
                b.copy_(before)
