"""From replies to a model's metrics."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from components.common.chat import Sample, answer_logits
from components.common.records import OPEN_TASKS, Record
from components.evaluate.generate import log_likelihoods, replies
from components.evaluate.measures import measure
from components.evaluate.run import row

OPEN = Record("1/g/0", "1", "generation", "image_text", "Where?", "Born in Oslo.", secrets=("Oslo",), images=("p",))
CHOICE = Record("1/c/0", "1", "classification", "image_text", "Which?", "x", ("w", "x", "y", "z"), "B", images=("p",))
BLANK = Record("1/m/0", "1", "cloze", "image_text", "Born in __.", "Oslo", secrets=("Oslo",), images=("p",))
SHOWN = Sample("", "", "", "p")


def asked(record: Record, reply: str, split: str = "forget", ratio=None, surprise=1.0):
    strangeness = surprise if record.task in OPEN_TASKS else None
    return row("vanilla", split, record, SHOWN, reply, ratio, strangeness, usual=2.0)


def measured(*rows):
    return measure(pd.DataFrame(rows))


def test_leakage_is_the_share_of_open_replies_with_a_secret():
    metrics = measured(asked(OPEN, "It is Oslo."), asked(OPEN, "In Lima."), asked(BLANK, "Oslo"), asked(CHOICE, "B"))
    assert metrics["forget"]["leakage_rate"] == 0.5
    assert metrics["forget"]["cloze_accuracy"] == 1
    assert metrics["forget"]["classification_accuracy"] == 1
    assert metrics["forget"]["samples"] == 4
    assert metrics["forget"]["people"] == 1


@pytest.mark.parametrize("task", ["caption", "recognition"])
def test_captions_and_names_are_measured_like_any_open_reply(task):
    seen = replace(OPEN, task=task)
    metrics = measured(asked(seen, "Born in Oslo.", ratio=0.5), asked(OPEN, "Nobody knows."))
    assert metrics["forget"]["leakage_rate"] == 0.5
    assert metrics["forget"]["rouge_l"] == 0.5
    assert metrics["forget"]["truth_ratio"] == 0.5
    assert metrics["fluency"]["perplexity"] == pytest.approx(math.e)


def test_splits_do_not_mix_and_nothing_to_measure_is_none():
    metrics = measured(asked(OPEN, "Oslo"), asked(OPEN, "Lima", split="retain"))
    assert (metrics["forget"]["leakage_rate"], metrics["retain"]["leakage_rate"]) == (1, 0)
    assert metrics["real"]["leakage_rate"] is None
    assert metrics["forget"]["classification_accuracy"] is None
    assert metrics["forget"]["text_only"]["leakage_rate"] is None


@pytest.mark.parametrize(
    ("reply", "surprise", "gibberish"),
    [("Born in Lima.", 2.0, False), ("Born in Lima.", 2.1, True), ("to to to to to to", 0.1, True), ("", 0.1, True)],
)
def test_gibberish_is_degenerate_or_stranger_than_every_true_answer(reply, surprise, gibberish):
    assert asked(OPEN, reply, surprise=surprise)["gibberish"] is gibberish


def test_perplexity_is_that_of_the_mean_surprise():
    metrics = measured(asked(OPEN, "Oslo", surprise=1.0), asked(OPEN, "Oslo", surprise=2.0))
    assert metrics["fluency"]["perplexity"] == pytest.approx(math.exp(1.5))


def test_likelihoods_and_replies_do_not_depend_on_the_batch(small_model):
    model, encoder = small_model
    samples = [
        Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
        Sample("b", "Which trade?", "Fishing.", ""),
        Sample("c", "Who?", "Nobody at all, I think.", "scene-1"),
    ]
    together = log_likelihoods(model, encoder, samples, 3)
    with torch.no_grad():
        for sample, value in zip(samples, together, strict=True):
            batch = encoder.batch([sample])
            chosen = answer_logits(model, batch)[0].log_softmax(-1).gather(-1, batch.answers[0][:, None])
            assert value == pytest.approx(chosen.mean().item(), abs=1e-5)
    assert replies(model, encoder, samples, 3, 6, "all") == replies(model, encoder, samples, 1, 6, "one by one")
