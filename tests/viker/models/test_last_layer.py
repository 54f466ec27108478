"""What is left out of the last layer is what nobody asks for."""

import pytest
import torch

from viker.data.samples import Sample
from viker.models.last_layer import last_layer_at

SAMPLES = [Sample("a", "Where?", "In Oslo.", "scene-0"), Sample("b", "Who?", "Nobody.", "scene-1")]


@pytest.fixture
def read(small_model):
    """The small model, a batch for it, and the shapes of what its layers' feed-forward parts are given."""
    model, encoder = small_model
    shapes = []
    layers = model.get_decoder().layers
    hooks = [layer.mlp.down_proj.register_forward_pre_hook(lambda _, x: shapes.append(x[0].shape)) for layer in layers]
    yield model, encoder.batch(SAMPLES).inputs, shapes
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def test_the_logits_asked_for_are_the_same_and_the_last_layer_reads_no_other_token(read):
    model, inputs, shapes = read
    width = inputs["input_ids"].shape[1]
    needed = torch.tensor([width - 9, width - 5, width - 2])
    plain = model(**inputs, logits_to_keep=needed).logits
    assert {tuple(shape[:2]) for shape in shapes} == {(2, width)}
    shapes.clear()
    with last_layer_at(model, needed):
        torch.testing.assert_close(model(**inputs, logits_to_keep=needed).logits, plain, atol=1e-6, rtol=1e-5)
    assert [tuple(shape[:2]) for shape in shapes[-2:]] == [(2, width), (2, 3)]


@torch.no_grad()
def test_the_keys_and_values_of_all_tokens_are_kept(read):
    model, inputs, _ = read
    plain = model(**inputs, use_cache=True).past_key_values
    with last_layer_at(model, torch.tensor([0])):
        trimmed = model(**inputs, use_cache=True).past_key_values
    for one, other in zip(plain.layers, trimmed.layers, strict=True):
        assert torch.equal(one.keys, other.keys) and torch.equal(one.values, other.values)


@torch.no_grad()
def test_afterwards_and_after_an_error_all_is_computed_again(read):
    model, inputs, shapes = read
    plain = model(**inputs).logits
    with pytest.raises(RuntimeError), last_layer_at(model, torch.tensor([0])):
        raise RuntimeError
    torch.testing.assert_close(model(**inputs).logits, plain, atol=0, rtol=0)
    assert shapes[-1][1] == inputs["input_ids"].shape[1]


@torch.no_grad()
def test_a_last_layer_of_another_make_computes_all(read, monkeypatch):
    model, inputs, _ = read
    plain = model(**inputs).logits
    mlp = model.get_decoder().layers[-1].mlp
    monkeypatch.setattr(mlp, "forward", lambda hidden, down=mlp.down_proj: whole(mlp, down, hidden))
    monkeypatch.delattr(mlp, "down_proj")
    with last_layer_at(model, torch.tensor([0])):
        torch.testing.assert_close(model(**inputs).logits, plain, atol=0, rtol=0)


def whole(mlp, down, hidden):
    return down(mlp.act_fn(mlp.gate_proj(hidden)) * mlp.up_proj(hidden))
