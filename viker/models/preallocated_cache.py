"""A cache with room at its end: a step writes its own keys and values there, and copies no others."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):
    """A layer's keys and values [rows, heads, tokens, size] in tensors that have room for more tokens.

    ``DynamicLayer`` puts the new ones at the end by copying all of them at every step. For many rows that share a long
    prefix, that is most of what a step does.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        """Take over keys and values, with room for so many tokens more."""
        super().__init__()
        self.lazy_initialization(keys, values)
        self._hold(keys, values, room)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new keys and values behind the others; return all."""
        start, more = self.keys.shape[-2], key_states.shape[-2]
        if start + more > self._held[0].shape[-2]:
            self._hold(self.keys, self.values, more)
        for held, new in zip(self._held, (key_states, value_states), strict=True):
            held[..., start : start + more, :] = new
        self.keys, self.values = (held[..., : start + more, :] for held in self._held)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, and the room that is left."""
        self._hold(self.keys[indices], self.values[indices], self._held[0].shape[-2] - self.keys.shape[-2])

    def _hold(self, keys: Tensor, values: Tensor, room: int) -> None:
        length = keys.shape[-2]
        self._held = [t.new_empty(*t.shape[:-2], length + room, t.shape[-1]) for t in (keys, values)]
        for held, given in zip(self._held, (keys, values), strict=True):
            held[..., :length, :] = given
        self.keys, self.values = (held[..., :length, :] for held in self._held)


def with_room(cache: Any, room: int) -> Any:
    """Give each plain layer of a cache room for so many tokens more; layers of other kinds stay as they are."""
    cache.layers = [
        RoomyLayer(layer.keys, layer.values, room) if type(layer) is DynamicLayer and layer.get_seq_length() else layer
        for layer in cache.layers
    ]
    return cache
