"""Training on kept features is training on pictures."""

from collections import Counter

import pytest
import torch

from viker.data.samples import Sample
from viker.models import vision_features as module
from viker.models.logits import answer_logits
from viker.models.vision_features import FeatureEncoder, reuse_features

SAMPLES = [
    Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
    Sample("b", "Which trade?", "Fishing.", ""),
    Sample("c", "What does this person like to do?", "Chess", "scene-1"),
    Sample("d", "Which trade?", "Baking.", "scene-0"),
]


@pytest.fixture
def pictures_read(small_model):
    model, _ = small_model
    seen = Counter()
    hook = model.model.vision_tower.register_forward_pre_hook(lambda _, args: seen.update(pictures=len(args[0])))
    yield seen
    hook.remove()


@pytest.mark.parametrize("group", [SAMPLES, SAMPLES[:1], SAMPLES[1:2], SAMPLES[1:3]])
def test_logits_are_those_of_the_pictures(small_model, group):
    model, encoder = small_model
    keeping = reuse_features(model, encoder, SAMPLES)
    assert isinstance(keeping, FeatureEncoder)
    with torch.no_grad():
        kept, plain = (answer_logits(model, e.batch(group)) for e in (keeping, encoder))
    torch.testing.assert_close(kept, plain, atol=1e-5, rtol=1e-5)


def test_the_vision_tower_reads_each_picture_once(small_model, pictures_read):
    model, encoder = small_model
    keeping = FeatureEncoder(model, encoder)
    for _ in range(3):
        answer_logits(model, keeping.batch(SAMPLES))
    assert pictures_read["pictures"] == 2


def test_features_beyond_the_memory_bound_make_room(small_model, pictures_read, monkeypatch):
    model, encoder = small_model
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    keeping = FeatureEncoder(model, encoder)
    for _ in range(2):
        for sample in (SAMPLES[0], SAMPLES[3], SAMPLES[2]):
            keeping.batch([sample])
    assert pictures_read["pictures"] == 4


def test_a_model_that_takes_no_features_reads_its_pictures_and_says_so(small_model, monkeypatch, caplog):
    model, encoder = small_model
    monkeypatch.setattr(model, "forward", lambda input_ids, pixel_values: None)
    assert reuse_features(model, encoder, SAMPLES) is encoder
    assert "takes no features" in caplog.text


def test_features_that_change_the_answers_are_not_used(small_model, monkeypatch, caplog):
    model, encoder = small_model
    monkeypatch.setattr(FeatureEncoder, "features", lambda self, sample: (torch.zeros(4, 32),))
    assert reuse_features(model, encoder, SAMPLES) is encoder
    assert "logits differ" in caplog.text
