"""Layers that are fused for training have the plain gradients, or stay plain."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests.viker.models.fused import SAMPLES, fused_types
from viker.models import fast_path, fused_layers, fused_operations
from viker.models.fast_path import fallbacks
from viker.models.fused_layers import ASKING, fuse_layers
from viker.models.fused_operations import GatedProduct, LoraProducts, Rotation
from viker.models.loading import language_layers
from viker.models.lora_precision import compute_in_model_precision


class NotTurnedBack(Rotation):
    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


class WithoutActivation(GatedProduct):
    @staticmethod
    def backward(ctx, gradient):
        gate, up = ctx.saved_tensors
        return gradient * up, gradient * gate.sigmoid() * gate


class OneMatrixTwiceAsMuch(LoraProducts):
    @staticmethod
    def backward(ctx, *gradients):
        *others, of_b, scale = LoraProducts.backward(ctx, *gradients)
        return *others, 2 * of_b, scale


class ProductAndLayer:
    @staticmethod
    def apply(gate, up, *layer):
        return LoraProducts.apply(WithoutActivation.apply(gate, up), *layer)[0]


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (fused_operations, "Rotation", NotTurnedBack),
        (fused_layers, "GatedLoraProduct", ProductAndLayer),
        (fused_layers, "LoraProducts", OneMatrixTwiceAsMuch),
    ],
)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_layers_whose_gradients_alone_are_wrong_stay_plain_in_training(
    small, monkeypatch, precision, module, name, wrong
):
    """A fresh adapter's B is 0, and so would be the gradients of A: it adds something while that is verified."""
    model, encoder = small
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=language_layers(model))
    ours = compute_in_model_precision(get_peft_model(copy.deepcopy(model).to(precision), lora))
    monkeypatch.setattr(module, name, wrong)
    fuse_layers(ours, encoder, SAMPLES)
    assert fused_types(ours) == {} and "gradients" in fallbacks()[0]["reason"]
    assert not any(parameter.any() for key, parameter in ours.named_parameters() if "lora_B" in key)
    fast_path.start_run()
    fuse_layers(ours, encoder, SAMPLES, ASKING)
    assert fused_types(ours) and fallbacks() == []


class ScaledWrongly(LoraProducts):
    @staticmethod
    def forward(ctx, states, a, *layers):
        return LoraProducts.forward(ctx, states, a, *(2 * each if isinstance(each, float) else each for each in layers))


def test_a_fresh_adapter_that_is_added_wrongly_is_found(small, monkeypatch):
    model, encoder = small
    ours = get_peft_model(copy.deepcopy(model), LoraConfig(r=4, lora_alpha=8, target_modules=language_layers(model)))
    monkeypatch.setattr(fused_layers, "LoraProducts", ScaledWrongly)
    fuse_layers(ours, encoder, SAMPLES, ASKING)
    assert fused_types(ours) == {} and "logits" in fallbacks()[0]["reason"]
