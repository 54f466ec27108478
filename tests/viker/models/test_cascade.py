"""Cascade attention is attention to all of a row's tokens, whichever rows share a prefix, without copies of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers.cache_utils import DynamicCache

from viker.models.cascade import CascadeCache, cascade_attention, cascading
from viker.models.fast_path import NoFastPath

LENGTH, OWN, SIZE = 7, 5, 4


class Layer:
    layer_idx = 0
    training = False

    def __init__(self, groups):
        self.num_key_value_groups = groups


SIZES = {
    "vocab_size": 20,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
MODEL = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()


def parts(seed, pictures, groups, tokens=1):
    """Queries, kept pictures, rows' own keys and values of which some are hidden, and the cache."""
    random = torch.Generator().manual_seed(seed)
    rows = len(pictures)
    kept = DynamicCache()
    kept.update(*(torch.randn(max(pictures) + 1, 2, LENGTH, SIZE, generator=random) for _ in range(2)), 0)
    query = torch.randn(rows, 2 * groups, tokens, SIZE, generator=random)
    key, value = (torch.randn(rows, 2, OWN, SIZE, generator=random) for _ in range(2))
    hidden = torch.rand(rows, 1, tokens, OWN, generator=random) < 0.4
    mask = torch.zeros(hidden.shape).masked_fill_(hidden, torch.finfo(torch.float32).min)
    return query, kept, key, value, mask, CascadeCache(MODEL, kept, pictures, OWN)


def by_hand(query, kept, key, value, mask, pictures, scaling):
    """Both parts apart, put together by the log-sum-exps of their scores: Hydragen's formula, row by row."""
    outputs = []
    for row, picture in enumerate(pictures):
        groups = query.shape[1] // 2
        each = [
            (kept.layers[0].keys[picture], kept.layers[0].values[picture], torch.zeros(1)),
            (key[row], value[row], mask[row]),
        ]
        summed, lse = [], []
        for keys, values, added in each:
            keys, values = (states.repeat_interleave(groups, 0) for states in (keys, values))
            scores = query[row] @ keys.mT * scaling + added
            summed.append(scores.softmax(-1) @ values)
            lse.append(scores.logsumexp(-1, keepdim=True))
        weights = (torch.stack(lse) - torch.stack(lse).logsumexp(0)).exp()
        outputs.append((weights * torch.stack(summed)).sum(0).transpose(0, 1))
    return torch.stack(outputs)


@given(st.integers(0, 99), st.lists(st.integers(0, 3), min_size=1, max_size=6), st.sampled_from([1, 2, 3]))
def test_a_token_per_row_sees_its_prefix_and_its_own_tokens(seed, pictures, groups):
    query, kept, key, value, mask, cache = parts(seed, pictures, groups)
    output, _ = cascade_attention(Layer(groups), query, key, value, mask, scaling=0.7, cascade=cache)
    expected = by_hand(query, kept, key, value, mask, pictures, 0.7)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)


@given(st.integers(0, 99), st.lists(st.integers(0, 3), min_size=1, max_size=6), st.sampled_from([1, 2]))
def test_so_do_many_tokens_per_row(seed, pictures, groups):
    query, kept, key, value, mask, cache = parts(seed, pictures, groups, tokens=3)
    output, _ = cascade_attention(Layer(groups), query, key, value, mask, cascade=cache)
    expected = by_hand(query, kept, key, value, mask, pictures, SIZE**-0.5)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)


def test_a_layer_writes_the_current_token_at_one_place_and_keeps_it_at_the_next_free_one():
    cache = CascadeCache(MODEL, None, [0, 0], room=5)
    first = [torch.randn(2, 2, 2, SIZE) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(cache.update(*first, 0), first, strict=True))
    for place in (3, 4):
        new = [torch.randn(2, 2, 1, SIZE) for _ in range(2)]
        before = cache.layers[0].keys.data_ptr()
        states = cache.update(*new, 0)
        assert cache.keep() == place
        assert cache.layers[0].keys.data_ptr() == before
        for kept, written in zip(states, new, strict=True):
            assert torch.equal(kept[:, :, :1], written) and torch.equal(kept[:, :, place : place + 1], written)
    assert torch.equal(cache.layers[0].keys[:, :, 1:3], first[0])
    assert cache.get_seq_length() == 4


@pytest.fixture
def nan_in_fresh_memory():
    """Memory that nobody has written holds NaN, as torch fills it where it is to be deterministic."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.utils.deterministic.fill_uninitialized_memory = True  # a stage that ran before has switched it off
    assert torch.empty(1).isnan()
    yield
    torch.utils.deterministic.fill_uninitialized_memory = filled
    torch.use_deterministic_algorithms(before)


def test_places_that_are_not_yet_written_do_not_matter(nan_in_fresh_memory):
    cache = CascadeCache(MODEL, None, [0], room=9)
    cache.update(*(torch.randn(1, 2, 1, SIZE) for _ in range(2)), 0)
    keys, values = cache.update(*(torch.randn(1, 2, 1, SIZE) for _ in range(2)), 0)
    mask = torch.zeros(1, 1, 1, 9)
    mask[..., 2:] = torch.finfo(torch.float32).min
    output, _ = cascade_attention(Layer(1), torch.randn(1, 2, 1, SIZE), keys, values, mask, cascade=cache)
    assert output.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"softcap": 30.0}, "more than a softmax of products"),
        ({"s_aux": torch.zeros(4)}, "more than a softmax of products"),
        ({"cascade": None}, "doesn't pass on its arguments"),
        ({"attention_mask": None}, "doesn't pass on its arguments"),
        ({"attention_mask": torch.zeros(1, 1, 1, OWN + 1)}, "doesn't pass on its arguments"),
    ],
)
def test_other_attention_is_refused(changes, reason):
    query, _, key, value, mask, cache = parts(0, [0], 1)
    arguments = {"query": query, "key": key, "value": value, "attention_mask": mask, "cascade": cache}
    with pytest.raises(NoFastPath, match=reason):
        cascade_attention(Layer(1), **(arguments | changes))


def test_models_that_look_back_no_further_than_a_window_are_refused():
    model = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=8))
    with pytest.raises(NoFastPath, match="not all layers"):
        CascadeCache(model, None, [0], 4)


def test_a_model_has_its_own_attention_again_even_after_an_error(monkeypatch):
    before = MODEL.config._attn_implementation
    with pytest.raises(ValueError, match="within"), cascading(MODEL):
        assert MODEL.config._attn_implementation == "cascade"
        raise ValueError("within")
    assert MODEL.config._attn_implementation == before
    monkeypatch.setattr(type(MODEL.get_decoder()), "_can_set_attn_implementation", classmethod(lambda cls: False))
    with pytest.raises(NoFastPath, match="can't be replaced"), cascading(MODEL):
        pytest.fail("entered")
