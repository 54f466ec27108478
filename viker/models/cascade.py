"""Cascade attention: all questions about a picture read one copy of its keys and values.

Attention to a shared prefix and to a row's own text, computed apart, are put together by their scores' log-sum-exps:
o = sum_i w_i o_i with w_i = exp(lse_i - logsumexp(lse)), see Juravsky et al. 2024 ("Hydragen", arXiv 2402.05099) and Ye
et al. 2025 ("FlashInfer", arXiv 2501.01005). At one token per row the scores are few enough to keep, so here those of
both parts go through one softmax, which weights the parts the same with fewer kernels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import AttentionInterface
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from viker.models.fast_path import NoFastPath
from viker.models.float32 import HALF

NAME = "cascade"
"""What transformers knows the attention by."""
CURRENT = 0
"""The place in a layer's tensors where each step writes: always the same, as a CUDA graph demands."""


class CascadeLayer(DynamicLayer):
    """The keys and values of P pictures, and those of the B rows' own tokens in tensors with ``room`` places.

    ``prefix``: two tensors [P, heads, length, size], or None for no picture. ``keys``, ``values``: [B, heads, room,
    size]. The place ``CURRENT`` is for the token that is being computed; ``keep`` moves it to a place of its own.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, prefix: tuple[Tensor, Tensor] | None, room: int) -> None:
        """Take the pictures' keys and values, and how many places a row has."""
        super().__init__()
        self.prefix, self.room, self.used = prefix, room, CURRENT + 1

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Take the keys and values of the prompts' tokens [B, heads, T, size], or those of a reply's current one.

        Prompts come in one pass, or in two of which the second has several tokens.

        Returns:
            keys and values that the given tokens may see: the prompts', or all, places not yet written among them.
        """
        if self.is_initialized and key_states.shape[2] == 1:
            self.keys[:, :, CURRENT : CURRENT + 1] = key_states
            self.values[:, :, CURRENT : CURRENT + 1] = value_states
            return self.keys, self.values
        if not self.is_initialized:
            self._allocate(key_states, value_states)
        more = slice(self.used, self.used + key_states.shape[2])
        self.keys[:, :, more] = key_states
        self.values[:, :, more] = value_states
        self.used = more.stop
        prompts = slice(CURRENT + 1, self.used)
        return self.keys[:, :, prompts], self.values[:, :, prompts]

    def begin(self, other: "CascadeLayer", rows: Tensor) -> None:
        """Begin each of B rows with the tokens that a row of ``other`` has, ``rows`` [B]."""
        self.used, begun = other.used, slice(CURRENT + 1, other.used)
        keys, values = (states[rows, :, begun] for states in (other.keys, other.values))
        self._allocate(keys, values)
        self.keys[:, :, begun], self.values[:, :, begun] = keys, values

    def _allocate(self, keys: Tensor, values: Tensor) -> None:
        self.lazy_initialization(keys, values)
        # zeros, since weight 0 times a NaN in memory that was never written is NaN
        self.keys, self.values = (t.new_zeros(*t.shape[:2], self.room, t.shape[3]) for t in (keys, values))

    def keep(self) -> int:
        """Give the current token's key and value the next free place, and return it."""
        for states in (self.keys, self.values):
            states[:, :, self.used] = states[:, :, CURRENT]
        self.used += 1
        return self.used - 1

    def get_seq_length(self) -> int:
        """Return how many tokens a row sees before the current one, padding included."""
        return self.used - 1 + (self.prefix[0].shape[2] if self.prefix else 0)


class CascadeCache(Cache):
    """What B rows see: each the prefix of its picture, of which there is one copy, and its own tokens."""

    def __init__(self, model: Any, prefixes: Any, pictures: Sequence[int], room: int) -> None:
        """Make a cache for rows with room for ``room`` tokens each, ``CURRENT`` among them.

        Args:
            model: whose cache it is.
            prefixes: the cache of all pictures, one row each, or None for no picture. It isn't copied. Steps read it
                from the first to the last of the batch's pictures, so these had better lie next to each other.
            pictures: for each of the B rows its picture's row among ``prefixes``.
            room: how many tokens.

        Raises NoFastPath: some layers of this model keep something else than the keys and values of all tokens.
        """
        layers = DynamicCache(config=model.config).layers
        if any(type(layer) is not DynamicLayer for layer in layers):
            raise NoFastPath("not all layers of this model keep the keys and values of all tokens")
        first, last = min(pictures), max(pictures)
        shared: list[Any] = [None] * len(layers)
        if prefixes is not None:
            shared = [(layer.keys[first : last + 1], layer.values[first : last + 1]) for layer in prefixes.layers]
        super().__init__(layers=[CascadeLayer(prefix, room) for prefix in shared])
        groups = [[row for row, own in enumerate(pictures) if own == picture] for picture in range(first, last + 1)]
        self._size = max(map(len, groups))
        tensor = partial(torch.tensor, device=model.device)
        self._members = tensor([row for group in groups for row in group + [0] * (self._size - len(group))])
        self._group = tensor([picture - first for picture in pictures])
        self._place = tensor([groups[picture - first].index(row) for row, picture in enumerate(pictures)])

    def begin(self, other: "CascadeCache", rows: Tensor) -> None:
        """Begin each of B rows with the tokens that a row of ``other`` has, ``rows`` [B]."""
        for layer, begun in zip(self.layers, other.layers, strict=True):
            layer.begin(begun, rows)

    def keep(self) -> int:
        """Give the current token of each row the next free place, and return it; all layers have the same."""
        places = [layer.keep() for layer in self.layers]
        return places[0]

    def copies(self, prefix: Tensor) -> Tensor:
        """Return a prefix [P, ...] of each row [B, ...]."""
        return prefix[self._group]

    def grouped(self, rows: Tensor) -> Tensor:
        """Return what B rows have [B, heads, G, X] together by picture [P, heads, N * G, X].

        N is the number of rows of the picture that has the most. Other pictures' groups are filled up with row 0.
        """
        groups = rows[self._members].unflatten(0, (-1, self._size))
        return groups.transpose(1, 2).flatten(2, 3)

    def by_row(self, groups: Tensor) -> Tensor:
        """Return what ``grouped`` was given [B, heads, G, X]."""
        return groups.unflatten(2, (self._size, -1))[self._group, :, self._place]


@contextmanager
def cascading(model: Any) -> Iterator[None]:
    """Within it, ``model`` computes attention by ``cascade_attention``; each call needs a ``cascade=CascadeCache``.

    Raises NoFastPath: the model's attention can't be replaced.
    """
    decoder = model.get_decoder()
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation(NAME)
    try:
        if decoder.config._attn_implementation != NAME:
            raise NoFastPath("this model's attention can't be replaced")
        yield
    finally:
        decoder.set_attn_implementation(before)


def cascade_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    cascade: CascadeCache | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Return the attention of B rows to their pictures' prefixes and their own tokens, [B, T, heads, size].

    Args:
        module: the layer's attention.
        query: [B, heads, T, size].
        key: [B, key heads, S, size], of the rows' own tokens, as is ``value``.
        value: see ``key``.
        attention_mask: what is added to the scores of the rows' own tokens, [B, 1, T, S].
        scaling: what scores are multiplied by; None: 1 / sqrt(size).
        cascade: the cache that ``key`` and ``value`` come from.
        kwargs: what else the model passes.

    Raises NoFastPath: the model doesn't pass on cache and mask, or its scores are computed in another way.
    """
    if cascade is None or attention_mask is None or attention_mask.shape[-2:] != (query.shape[2], key.shape[2]):
        raise NoFastPath("this model doesn't pass on its arguments to its attention")
    if any(kwargs.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        raise NoFastPath("this model's attention is more than a softmax of products")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    prefix = cascade.layers[module.layer_idx].prefix
    if query.shape[2] > 1:
        # many tokens have too many scores to keep: one layer's prefixes are copied, for as long as its attention runs
        if prefix is not None:
            key, value = (torch.cat([cascade.copies(p), own], 2) for p, own in zip(prefix, (key, value), strict=True))
            attention_mask = pad(attention_mask, (prefix[0].shape[2], 0))
        attend = ALL_ATTENTION_FUNCTIONS["sdpa"]
        output: Tensor = attend(module, query, key, value, attention_mask, scaling=scaling)[0]
        return output, None
    rows, heads = key.shape[:2]
    query = query.reshape(rows, heads, -1, query.shape[-1])  # the G query heads of each key head
    own = torch.add(attention_mask, _products(query, key.mT), alpha=scaling)
    if prefix is None:
        summed = _products(own.softmax(-1).to(value.dtype), value)
    else:
        shared = cascade.by_row(_products(cascade.grouped(query), prefix[0].mT)) * scaling
        of_shared, of_own = (weights.to(value.dtype) for weights in _weights(shared, own))
        summed = cascade.by_row(_products(cascade.grouped(of_shared), prefix[1])) + _products(of_own, value)
    return summed.to(value.dtype).flatten(1, 2)[:, None], None


def _weights(shared: Tensor, own: Tensor) -> tuple[Tensor, ...]:
    """Return both parts' weights, which together sum to 1, from their scores [B, heads, G, L] and [B, heads, G, S]."""
    return torch.cat([shared, own], -1).softmax(-1).split([shared.shape[-1], own.shape[-1]], -1)


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Return the matrix products [P, heads, M, N] of [P, heads, M, K] and [P, heads, K, N] in float32.

    Rounded to half precision, scores would err by more than in the fused kernels of the plain way, which don't.
    """
    if one.is_cuda and one.dtype in HALF:
        product = torch.bmm(one.flatten(0, 1), other.flatten(0, 1), out_dtype=torch.float32)
        return product.unflatten(0, one.shape[:2])
    return one.float() @ other.float()


AttentionInterface.register(NAME, cascade_attention)
