"""The last layer, computed to its end only for the tokens whose logits are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def last_layer_at(model: Any, places: Tensor) -> Iterator[None]:
    """Within it, the feed-forward part of the last layer of ``model`` is computed for the tokens ``places`` [M] alone.

    The logits at ``places`` stay what they are: no later layer looks at the other tokens, whose hidden states are then
    of no use. All rows of a batch share ``places``. Where the model's layers are of another make, all is computed.
    """
    mlp = _last_mlp(model)
    if mlp is None:
        yield
        return
    whole: list[Tensor] = []

    def cut(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        whole.append(given[0])
        return (given[0][:, places], *given[1:])

    def put_back(_: nn.Module, __: tuple[Tensor, ...], out: Tensor) -> Tensor:
        return out.new_zeros(whole.pop().shape).index_copy_(1, places, out)

    hooks = [mlp.register_forward_pre_hook(cut), mlp.register_forward_hook(put_back)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _last_mlp(model: Any) -> nn.Module | None:
    layers = getattr(model.get_decoder(), "layers", None)
    mlp = getattr(layers[-1], "mlp", None) if layers else None
    # a mixture of experts returns more than the hidden states, or counts its tokens
    return mlp if hasattr(mlp, "down_proj") else None
