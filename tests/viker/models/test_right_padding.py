"""Batches without a mask have the logits of those with one."""

import copy

import pytest
import torch

from tests.viker.training.test_training import samples, teachers, trainer_of  # noqa: F401 - fixtures
from viker.data.samples import Sample
from viker.models import right_padding
from viker.models.fast_path import fallbacks
from viker.models.hidden_states import kept_states
from viker.models.logits import answer_logits
from viker.models.right_padding import without_mask
from viker.training import trainer as training

LONG = Sample("a", "Where was this person born?", "This person was born in Oslo, I think.", "scene-0")
SHORT = Sample("b", "Which?", "A", "")
OTHER = Sample("c", "Which trade has this person?", "Baking.", "scene-1")


@pytest.mark.parametrize("group", [[LONG, SHORT, OTHER], [SHORT, LONG], [LONG], [SHORT, SHORT]])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_logits_and_hidden_states_are_those_with_a_mask(small_model, group, attention):
    model, encoder = small_model
    model.set_attn_implementation(attention)
    padding = without_mask(model, encoder, [LONG, SHORT, OTHER])
    assert padding is not encoder and fallbacks() == []
    right, left = padding.batch(group), encoder.batch(group)
    assert "attention_mask" not in right.inputs and torch.equal(right.answers, left.answers)
    with torch.no_grad():
        found = []
        for batch in (right, left):
            with kept_states(model, 0, batch) as kept:
                found.append((answer_logits(model, batch)[batch.mask], kept[0][batch.mask]))
    model.set_attn_implementation("sdpa")
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_no_layer_gets_a_mask(small_model):
    model, encoder = small_model
    batch = without_mask(model, encoder, [LONG, SHORT]).batch([LONG, SHORT])
    seen = []
    layers = model.get_decoder().layers
    hooks = [
        layer.register_forward_pre_hook(lambda _, __, given: seen.append(given["attention_mask"]), with_kwargs=True)
        for layer in layers
    ]
    answer_logits(model, batch)
    for hook in hooks:
        hook.remove()
    assert seen == [None] * len(layers)


@pytest.mark.parametrize("term", ["nll", "kl"])
def test_a_training_step_has_the_loss_and_the_gradient_of_one_with_a_mask(trainer_of, monkeypatch, term):  # noqa: F811 - a fixture
    gradients, losses, passes = [], [], []
    monkeypatch.setattr(training, "answer_logits", lambda *given: passes.append(len(losses)) or answer_logits(*given))
    for padded in (False, True):
        trainer = trainer_of(method={"name": "viker", "retain": {"term": term}})
        rows = list(trainer.train_dataset)
        if padded:
            trainer.encoder = without_mask(trainer.model, trainer.encoder, [sample for sample, _ in rows])
            assert trainer.encoder.right_padded
        loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows[:3]))
        loss.backward()
        losses.append(loss.detach())
        gradients.append([p.grad for p in trainer.model.parameters() if p.grad is not None])
    vanilla = ["kl"].count(term)
    assert (passes.count(0), passes.count(1)) == (2 + vanilla, 1 + vanilla)  # forget and retain together
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-4)
    assert any(gradient.abs().max() > 1e-3 for gradient in gradients[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_a_model_whose_padding_is_seen_keeps_the_mask(small_model, monkeypatch):
    model, encoder = small_model
    monkeypatch.setattr(right_padding, "_logits", _seen_from_the_end)
    assert without_mask(model, encoder, [LONG, SHORT]) is encoder
    assert fallbacks()[0]["what"] == "batches without a mask"


def _seen_from_the_end(model, encoder, group):
    """Take the logits where a batch padded on the left has them."""
    batch = copy.copy(encoder.batch(group))
    batch.predicting = None
    return answer_logits(model, batch)[batch.mask]


def test_a_family_that_looks_ahead_keeps_the_mask(small_model, monkeypatch):
    model, encoder = small_model
    own = copy.copy(encoder)
    monkeypatch.setattr(type(own.processor), "return_mm_token_type_ids", True, raising=False)
    monkeypatch.setattr(type(own.processor), "create_mm_token_type_ids", lambda _, ids: ids, raising=False)
    assert without_mask(model, own, [LONG, SHORT]) is own
    assert "looks ahead" in fallbacks()[0]["reason"]
