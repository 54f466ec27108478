"""The last layer's feed-forward part, computed only for the tokens whose logits are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def last_layer_at(model: Any, places: Tensor) -> Iterator[None]:
    """Within it, the feed-forward part of the last layer of ``model`` is computed for the tokens ``places`` [M] alone.

    The logits at ``places`` stay the same: no later layer reads the other tokens' hidden states, which are zeros then.
    All rows of a batch share ``places``. Layers without an ``mlp.down_proj`` are computed whole.
    """
    layers = getattr(model.get_decoder(), "layers", None)
    mlp: Any = getattr(layers[-1], "mlp", None) if layers else None
    if not hasattr(mlp, "down_proj"):  # a mixture of experts returns more than hidden states, or counts its tokens
        yield
        return
    shapes: list[torch.Size] = []

    def cut(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        shapes.append(args[0].shape)
        return (args[0][:, places], *args[1:])

    def put_back(_: nn.Module, __: tuple[Tensor, ...], out: Tensor) -> Tensor:
        return out.new_zeros(shapes.pop()).index_copy_(1, places, out)

    hooks = [mlp.register_forward_pre_hook(cut), mlp.register_forward_hook(put_back)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
