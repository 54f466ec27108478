"""Fast paths of a model in bfloat16: rounding is told from a wrong path, however large the weights."""

import copy

import pytest
import torch

from viker.data.samples import Sample
from viker.generation.generate import replies
from viker.models import shared_prefix, vision_features
from viker.models.encoder import Encoder
from viker.models.fast_path import FastPath, NoFastPath, fallbacks
from viker.models.float32 import in_float32
from viker.models.logits import answer_logits
from viker.models.right_padding import without_mask
from viker.models.shared_prefix import Prefixes

SAMPLES = [
    Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
    Sample("b", "Which trade?", "Fishing.", "scene-0"),
    Sample("c", "Where was this person born?", "In Rome, I think.", "scene-0"),
]


@pytest.fixture(params=[1.0, 1.5, 4.0])
def half(request, small_model) -> tuple:
    """The small model in bfloat16, its matrices scaled."""
    model, encoder = small_model
    model = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(request.param if parameter.dim() > 1 else 1)
    encoder = Encoder(encoder.processor, encoder.pictures, encoder.device)
    return model.to(torch.bfloat16), encoder


def test_float32_arithmetic_is_that_of_a_model_in_float32(half):
    model, encoder = half
    with in_float32():
        widened = answer_logits(model, encoder.batch(SAMPLES))
    with torch.no_grad():
        rounded = answer_logits(model, encoder.batch(SAMPLES))
        exact = answer_logits(copy.deepcopy(model).float(), encoder.batch(SAMPLES))
    assert widened.dtype == torch.float32 and torch.equal(widened, exact)
    assert rounded.dtype == torch.bfloat16 and not torch.equal(rounded.float(), exact)
    with in_float32():
        place = torch.zeros(2, dtype=torch.bfloat16)
        place.add_(1)
        place[0] += 1
    assert place.tolist() == [2, 1]


@torch.no_grad()
def test_right_paths_are_taken(half):
    model, encoder = half
    prefixes = Prefixes(model, encoder, SAMPLES)
    prefixes.tree_logits([prefixes.prompts])
    replies(model, encoder, SAMPLES, 3, 2, "test")
    assert vision_features.reuse_features(model, encoder, SAMPLES) is not encoder
    assert without_mask(model, encoder, SAMPLES) is not encoder
    assert fallbacks() == []


def shifted(tree):
    tree.depths.add_(1)


def blind(tree):
    tree.sees[-1, 0] = False


def all_seeing(tree):
    tree.sees.fill_(True)


@torch.no_grad()
@pytest.mark.parametrize("wrong", [shifted, blind, all_seeing])
def test_wrong_positions_and_wrong_masks_are_refused_though_rounding_would_hide_some(half, monkeypatch, wrong):
    model, encoder = half
    build = shared_prefix.build_tree

    def broken(texts):
        tree = build(texts)
        wrong(tree)
        return tree

    monkeypatch.setattr(shared_prefix, "build_tree", broken)
    prefixes = Prefixes(model, encoder, SAMPLES[:1])
    with pytest.raises(NoFastPath, match=r"with the shared prefix this model's logits"):
        prefixes.tree_logits([prefixes.prompts])


@torch.no_grad()
def test_features_of_another_picture_are_refused(half, monkeypatch):
    model, encoder = half
    features = vision_features.FeatureEncoder.features

    def louder(self, sample):
        return tuple(1.01 * part for part in features(self, sample))

    monkeypatch.setattr(vision_features.FeatureEncoder, "features", louder)
    assert vision_features.reuse_features(model, encoder, SAMPLES) is encoder
    assert fallbacks()


def test_what_only_half_precision_breaks_is_refused_too():
    """In float32 both ways agree, but the fast logits were computed with coarser rounding."""
    path = FastPath("short cut", "all is computed again", "a step", float32=1e-4, half=5e-2)
    exact = torch.randn(64, generator=torch.Generator().manual_seed(3))
    rounded = exact.bfloat16()
    coarse = (exact * 16).round().div(16).bfloat16()

    def plain():
        return exact if torch.overrides._is_torch_function_mode_enabled() else rounded

    path.verify(torch.nn.Linear(2, 2), rounded, plain, plain)
    with pytest.raises(NoFastPath, match="times as far from float32"):
        path.verify(torch.nn.Linear(2, 2), coarse, plain, plain)
