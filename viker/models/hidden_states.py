"""The hidden states that one layer of the language model puts out, kept beside the logits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from viker.core.errors import UserError
from viker.models.encoder import Batch
from viker.models.logits import unwrapped


def decoder_layers(model: Any) -> nn.ModuleList:
    """Return the language model's layers, of a model that DDP or an adapter may be around.

    Raises UserError: it has no list of layers.
    """
    layers = getattr(unwrapped(model).get_decoder(), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise UserError(
            f"the language model of {type(unwrapped(model)).__name__} has no list of layers whose hidden states could "
            "be taken. Choose a method that doesn't need them: unlearn.method."
        )
    return layers


@contextmanager
def kept_states(model: Any, layer: int, batch: Batch) -> Iterator[list[Tensor]]:
    """Within it, a forward pass of ``batch`` appends what ``layer`` puts out where the answers' tokens are predicted.

    The tensors [B, N, D] carry gradients as the logits do.
    """
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, out: Any) -> None:
        states = out[0] if isinstance(out, tuple) else out
        kept.append(batch.at_answers(states))

    hook = decoder_layers(model)[layer].register_forward_hook(keep)
    try:
        yield kept
    finally:
        hook.remove()
