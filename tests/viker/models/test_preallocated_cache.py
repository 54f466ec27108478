"""A cache with room holds what a plain one does, and a step does not copy it."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.cache_utils import DynamicCache, DynamicLayer

from viker.models.preallocated_cache import PreallocatedLayer, preallocated
from viker.models.shared_prefix import select


def states(tokens, seed, rows=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, 2, tokens, 4, generator=generator) for _ in range(2)]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 8))
def test_the_same_keys_and_values_as_in_a_plain_layer_with_enough_room_and_without(steps, room):
    plain = DynamicLayer()
    plain.update(*states(5, 0))
    layer_with_room = PreallocatedLayer(plain.keys, plain.values, room)
    rows = 3
    for number, tokens in enumerate(steps, 1):
        if number == 3:
            rows = 2
            for layer in (plain, layer_with_room):
                layer.batch_select_indices(torch.tensor([2, 0]))
        new = states(tokens, number, rows)
        for one, other in zip(plain.update(*new), layer_with_room.update(*new), strict=True):
            assert torch.equal(one, other)
        assert plain.get_seq_length() == layer_with_room.get_seq_length()
        assert plain.get_mask_sizes(1) == layer_with_room.get_mask_sizes(1)


def test_a_step_with_room_copies_nothing():
    layer = PreallocatedLayer(*states(5, 0), room=4)
    before = layer.keys.data_ptr()
    for step in range(4):
        layer.update(*states(1, step))
        assert layer.keys.data_ptr() == before
    layer.update(*states(1, 9))  # no room is left
    assert layer.keys.data_ptr() != before
    assert layer.get_seq_length() == 10


def test_the_cache_that_rows_are_selected_from_stays_as_it_is():
    cache = DynamicCache()
    cache.update(*states(5, 0), 0)
    before = cache.layers[0].keys.clone()
    chosen = preallocated(select(cache, torch.tensor([1, 1])), 3)
    chosen.update(*states(2, 1, rows=2), 0)
    assert torch.equal(cache.layers[0].keys, before)
    assert type(cache.layers[0]) is DynamicLayer and type(chosen.layers[0]) is PreallocatedLayer
    assert torch.equal(chosen.layers[0].keys[:, :, :5], before[[1, 1]])
