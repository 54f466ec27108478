"""Batched replies and likelihoods are those of one sample at a time, and a run that is killed goes on."""

import random
from dataclasses import replace

import pytest
import torch

from tests.conftest import png
from tests.viker.training.families import build
from viker.core.run_store import RESULTS, RunStore
from viker.data.samples import Sample
from viker.generation.generate import log_likelihoods, replies
from viker.generation.score import token_scores
from viker.models.encoder import Encoder
from viker.models.fast_path import fallbacks
from viker.models.logits import answer_logits

SAMPLES = [
    Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
    Sample("a", "Where was this person born?", "This person was born in Lima.", "scene-0"),
    Sample("b", "Which trade?", "Fishing.", ""),
    Sample("c", "Who?", "Nobody at all, I think.", "scene-1"),
    Sample("d", "Who is this, and where does this person live and work?", "A baker of Riga.", "scene-1"),
    Sample("e", "Who was born in Oslo, and when was that, and why?", "Ada.", ""),
]


@torch.no_grad()
def alone(model, encoder, sample):
    """The formulas, one sample at a time."""
    batch = encoder.batch([sample])
    log_p = answer_logits(model, batch)[0].log_softmax(-1)
    p = log_p.exp()
    mean = (p * log_p).sum(-1)
    deviation = ((p * (log_p - mean[:, None]) ** 2).sum(-1)).sqrt()
    return log_p.gather(-1, batch.answers[0][:, None])[:, 0], log_p.argmax(-1) == batch.answers[0], mean, deviation


def greedy(model, encoder, sample, most):
    """The reply to one sample alone; no two tokens may be so close that rounding could decide between them."""
    inputs = encoder.prompts([sample])
    options = {"do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    output = model.generate(**inputs, **options, max_new_tokens=most)
    first, second = torch.cat(output.logits).topk(2).values.T
    assert (first - second).min() > 1e-4, f"the model nearly ties on {sample}: choose another seed"
    ids = output.sequences[0, inputs["input_ids"].shape[1] :]
    return encoder.tokenizer.decode(ids, skip_special_tokens=True).strip()


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_scores_are_those_of_the_formulas_whatever_the_batch(small_model, batch_size):
    for sample, scores in zip(SAMPLES, token_scores(*small_model, SAMPLES, batch_size), strict=True):
        log_p, hit, mean, deviation = alone(*small_model, sample)
        assert scores.log_p == pytest.approx(log_p.tolist(), abs=1e-5)
        assert scores.hit == hit.tolist()
        assert scores.mean == pytest.approx(mean.tolist(), abs=1e-4)
        assert scores.deviation == pytest.approx(deviation.tolist(), abs=1e-4)
    assert log_likelihoods(*small_model, SAMPLES[:1], 4)[0] == pytest.approx(
        alone(*small_model, SAMPLES[0])[0].mean().item(), abs=1e-5
    )


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_replies_are_those_of_one_sample_at_a_time(talkative, batch_size):
    expected = [greedy(*talkative, sample, 12) for sample in SAMPLES]
    assert len(set(expected)) > 2
    assert replies(*talkative, SAMPLES, batch_size, 12, "asking") == expected


def test_a_reply_ends_at_its_end_token_and_the_others_go_on(talkative):
    """The end token is made the likeliest after what some of the replies begin with."""
    model, encoder = talkative
    answers = replies(model, encoder, SAMPLES, 64, 12, "asking")
    longest = max(range(len(answers)), key=lambda i: len(answers[i]))
    inputs = encoder.prompts([SAMPLES[longest]])
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=12)[0, inputs["input_ids"].shape[1] :].tolist()
    ends = model.generation_config.eos_token_id
    try:
        model.generation_config.eos_token_id = [ends, ids[len(ids) // 2]]
        expected = [greedy(model, encoder, sample, 12) for sample in SAMPLES]
        shortened = replies(model, encoder, SAMPLES, 64, 12, "asking")
    finally:
        model.generation_config.eos_token_id = ends
    assert shortened == expected
    assert 0 < len(shortened[longest]) < len(answers[longest])


@pytest.mark.parametrize("family", ["llava", "llava_next", "qwen2_vl", "idefics3", "paligemma", "gemma3"])
def test_every_family_is_asked_and_scored_as_one_at_a_time(family):
    model, processor = build(family)
    rng = random.Random(1)
    from viker.data.synthetic.scenes import draw_scene

    encoder = Encoder(processor, {f"scene-{i}": png(draw_scene(rng)) for i in range(2)}, torch.device("cpu"))
    assert replies(model, encoder, SAMPLES, 4, 4, "asking") == [greedy(model, encoder, s, 4) for s in SAMPLES]
    for sample, scores in zip(SAMPLES, token_scores(model, encoder, SAMPLES, 4), strict=True):
        assert scores.log_p == pytest.approx(alone(model, encoder, sample)[0].tolist(), abs=1e-4)


def test_what_is_stored_is_not_computed_again_and_a_line_cut_off_is(small_model, tmp_path):
    model, encoder = small_model
    store = RunStore(tmp_path / "work", {"adapter": "a"})
    first = replies(model, encoder, SAMPLES, 2, 6, "asking", store), token_scores(model, encoder, SAMPLES, 2, "", store)
    path = tmp_path / "work" / RESULTS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])

    again = RunStore(tmp_path / "work", {"adapter": "a"})
    assert len(again.results) == len(lines) - 1
    assert token_scores(model, encoder, SAMPLES, 2, "", again) == first[1]
    assert replies(None_if_asked(model), encoder, SAMPLES, 2, 6, "asking", again) == first[0]


def test_a_model_that_looks_ahead_is_asked_and_scored_the_plain_way_with_one_warning(small_model, monkeypatch, caplog):
    model, encoder = small_model
    monkeypatch.setattr(model.config.text_config, "is_causal", False, raising=False)
    answers = replies(model, encoder, SAMPLES, 4, 6, "asking")
    assert answers == [greedy(model, encoder, sample, 6) for sample in SAMPLES]
    scores = [token_scores(model, encoder, SAMPLES, 4) for _ in range(2)][1]
    for sample, score in zip(SAMPLES, scores, strict=True):
        assert score.log_p == pytest.approx(alone(model, encoder, sample)[0].tolist(), abs=1e-5)
    assert [fallback["what"] for fallback in fallbacks()] == ["shared prefix"] * len(caplog.records)
    assert 1 <= len(caplog.records) <= 2 and "read again for every question" in caplog.text


class None_if_asked:
    """A model that can be looked at but not be run."""

    def __init__(self, model):
        self.config, self.forward = model.config, model.forward

    def __call__(self, *args, **kwargs):
        raise AssertionError("computed again")


def test_replies_depend_on_prompt_and_picture_alone(small_model):
    twice = [SAMPLES[0], replace(SAMPLES[0], record_id="other", answer="Otherwise.")]
    one, other = replies(*small_model, twice, 4, 6, "asking")
    assert one == other
