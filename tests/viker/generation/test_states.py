"""The states that replies begin from are those of one sample at a time, whatever the batch, the way and the memory."""

import random
from dataclasses import replace

import pytest
import torch

from tests.conftest import png
from tests.viker.generation.test_generate import SAMPLES
from tests.viker.models.short_memory import short_of_memory
from tests.viker.training.families import build
from viker.data.synthetic.scenes import draw_scene
from viker.generation.states import states_before_reply
from viker.models.encoder import Encoder
from viker.models.fast_path import fallbacks, start_run
from viker.models.shared_prefix import DECODING

ASKED = [*SAMPLES, *(replace(sample, begun="In the town of") for sample in SAMPLES)]


@torch.no_grad()
def alone(model, encoder, sample):
    states = model(**encoder.prompts([sample]), use_cache=False, output_hidden_states=True).hidden_states
    return torch.stack([layer[0, -1] for layer in states]).float()


def assert_right(model, encoder, batch_size):
    states = states_before_reply(model, encoder, ASKED, batch_size, "reading")
    expected = [alone(model, encoder, sample) for sample in ASKED]
    assert len({tuple(each[-1].tolist()) for each in expected}) >= len(ASKED) - 2  # one question stands there twice
    for each, own in zip(states, expected, strict=True):
        torch.testing.assert_close(each, own, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_states_are_those_of_one_sample_at_a_time(talkative, batch_size):
    assert_right(*talkative, batch_size)
    assert fallbacks() == []


def test_the_plain_way_has_the_same(talkative, monkeypatch):
    monkeypatch.setattr(type(DECODING), "take", lambda self, model, fast, plain: plain())
    assert_right(*talkative, 4)


def test_a_short_memory_has_the_same(talkative):
    with short_of_memory(talkative[0], float("inf")) as passes:
        states_before_reply(*talkative, ASKED, 64, "reading")
    start_run()
    with short_of_memory(talkative[0], max(passes) - 1):
        computed = states_before_reply(*talkative, ASKED, 64, "reading")
    assert "full batch of hidden states" in {one["what"] for one in fallbacks()}
    for each, sample in zip(computed, ASKED, strict=True):
        torch.testing.assert_close(each, alone(*talkative, sample), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("family", ["llava_next", "qwen2_vl", "gemma3"])
def test_other_families_have_the_same(family):
    model, processor = build(family)
    rng = random.Random(1)
    encoder = Encoder(processor, {f"scene-{i}": png(draw_scene(rng)) for i in range(2)}, torch.device("cpu"))
    assert_right(model, encoder, 4)
