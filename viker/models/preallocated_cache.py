"""A cache with preallocated room: a decoding step writes its keys and values there and copies no others."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer


class PreallocatedLayer(DynamicLayer):
    """A layer's keys and values [rows, heads, tokens, size] in tensors with room for more tokens.

    ``DynamicLayer`` appends by copying all keys and values at every step. For many rows that share a long prefix, that
    is most of a step's time.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        """Take over keys and values, with room for ``room`` more tokens."""
        super().__init__()
        self.lazy_initialization(keys, values)
        self._allocate(keys, values, room)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append new keys and values; return all."""
        start, more = self.keys.shape[-2], key_states.shape[-2]
        if start + more > self._storage[0].shape[-2]:
            self._allocate(self.keys, self.values, more)
        for buffer, new in zip(self._storage, (key_states, value_states), strict=True):
            buffer[..., start : start + more, :] = new
        self.keys, self.values = (buffer[..., : start + more, :] for buffer in self._storage)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, and the room that is left."""
        self._allocate(self.keys[indices], self.values[indices], self._storage[0].shape[-2] - self.keys.shape[-2])

    def _allocate(self, keys: Tensor, values: Tensor, room: int) -> None:
        length = keys.shape[-2]
        self._storage = [t.new_empty(*t.shape[:-2], length + room, t.shape[-1]) for t in (keys, values)]
        for buffer, tensor in zip(self._storage, (keys, values), strict=True):
            buffer[..., :length, :] = tensor
        self.keys, self.values = (buffer[..., :length, :] for buffer in self._storage)


def preallocated(cache: Any, room: int) -> Any:
    """Return ``cache``, each filled plain layer replaced by one with room for ``room`` more tokens; others stay."""
    for place, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.get_seq_length():
            cache.layers[place] = PreallocatedLayer(layer.keys, layer.values, room)
    return cache
