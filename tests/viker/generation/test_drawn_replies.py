"""Drawn replies follow the model's distribution, and depend on the seed alone; a reply that has begun goes on."""

from dataclasses import replace

import pytest
import torch

from tests.viker.generation.test_generate import SAMPLES, greedy
from tests.viker.models.short_memory import short_of_memory
from viker.generation import decode
from viker.generation.draw import Draws
from viker.generation.generate import drawn_replies, replies
from viker.models.fast_path import fallbacks, start_run
from viker.models.shared_prefix import DECODING

COUNT, MOST, SEED = 3, 8, 7
GRID = 10_000


def draw(model, encoder, batch_size=64, temperature=1.0, seed=SEED, samples=SAMPLES):
    return drawn_replies(model, encoder, samples, batch_size, MOST, temperature, COUNT, seed, "drawing")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_evenly_spread_numbers_draw_each_token_in_proportion_to_its_probability(temperature, dtype):
    logits = (4 * torch.randn(300, generator=torch.Generator().manual_seed(1))).to(dtype)
    evenly = (torch.arange(GRID, dtype=torch.float64)[:, None] + 0.5) / GRID
    tokens = Draws(temperature, evenly).tokens(logits.expand(GRID, -1), 0)
    expected = (logits.double() / temperature).softmax(-1) * GRID
    assert (torch.bincount(tokens, minlength=300) - expected).abs().max() <= 1.01


def test_no_number_draws_a_token_without_probability():
    logits = torch.full((2, 50), float("-inf"))
    logits[:, [3, 40]] = 0.0
    ends = Draws(1.0, torch.tensor([[0.0], [1 - 2**-53]], dtype=torch.float64))
    assert ends.tokens(logits, 0).tolist() == [3, 40]
    assert Draws(1.0, torch.tensor([[0.5]])).tokens(torch.full((1, 50), float("nan")), 0).tolist() == [0]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_what_is_drawn_is_the_same_in_any_batch_and_whatever_the_memory_holds(talkative, batch_size):
    expected = draw(*talkative)
    assert len({reply for said in expected for reply in said}) > len(SAMPLES)
    assert draw(*talkative, batch_size) == expected
    with short_of_memory(talkative[0], float("inf")) as passes:
        draw(*talkative)
    start_run()
    with short_of_memory(talkative[0], max(passes) - 1):
        assert draw(*talkative) == expected
    assert [one["what"] for one in fallbacks()] == ["full batch of replies"]


def test_what_is_drawn_is_the_same_in_every_way_of_decoding(talkative, monkeypatch):
    expected = draw(*talkative)
    monkeypatch.setattr(decode, "cascades", lambda device: True)
    assert draw(*talkative) == expected and fallbacks() == []
    monkeypatch.setattr(type(DECODING), "take", lambda self, model, fast, plain: plain())
    assert draw(*talkative) == expected


def test_the_seed_draws_and_a_low_temperature_is_greedy(talkative):
    assert draw(*talkative) == draw(*talkative) != draw(*talkative, seed=SEED + 1)
    greedy = replies(*talkative, SAMPLES, 64, MOST, "asking")
    assert draw(*talkative, temperature=1e-4) == [[reply] * COUNT for reply in greedy]


@pytest.mark.parametrize("way", ["shared", "cascade", "plain"])
def test_a_reply_that_has_begun_goes_on_from_there_beside_others_that_have_not(talkative, monkeypatch, way):
    if way == "plain":
        monkeypatch.setattr(type(DECODING), "take", lambda self, model, fast, plain: plain())
    monkeypatch.setattr(decode, "cascades", lambda device: way == "cascade")
    begun = [replace(sample, begun=words) for sample in SAMPLES for words in ("In", "This person was born in")]
    asked = [*begun, *SAMPLES]
    expected = [greedy(*talkative, sample, MOST) for sample in asked]
    assert len(set(expected)) > len(SAMPLES)
    assert replies(*talkative, asked, 4, MOST, "asking") == expected
    prompts = talkative[1].tokenizer.batch_decode(talkative[1].prompts(begun[:2])["input_ids"])
    assert [prompt.split("ASSISTANT:")[1].strip() for prompt in prompts] == ["In", "This person was born in"]
