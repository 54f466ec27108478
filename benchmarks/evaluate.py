"""``python -m benchmarks.evaluate``: replies and likelihoods versus one sample at a time, at equal answers."""

import math
import statistics
from dataclasses import replace
from typing import Annotated

import torch
import typer

from benchmarks.timing import seconds
from benchmarks.unlearn.model import SIZES, Bench, bench
from viker.core import console
from viker.core.console import stage_app
from viker.data.samples import Sample
from viker.generation.generate import log_likelihoods, replies
from viker.models.encoder import Encoder
from viker.models.fast_path import fallbacks
from viker.models.logits import answer_logits

PICTURES = 4
TOKENS = 50
"""New tokens per reply; a model with random weights doesn't end earlier."""
OPTIONS = 4
"""Answers per question whose likelihoods are computed: the true one and three others."""
ALONE = 3
"""Questions that are asked one at a time, before and after the fast pass; the time per question is the same."""


def command(
    size: Annotated[str, typer.Option(help="toy; llava or llava-quarter: 576 image tokens.")] = "toy",
    questions: Annotated[int, typer.Option(help="Questions per picture, of four pictures.")] = 18,
    batch: Annotated[int, typer.Option(help="Questions per batch.")] = 64,
    runs: Annotated[int, typer.Option(help="How often each pair is timed, in turn.")] = 5,
) -> None:
    """Print each ratio's lowest, median and highest value; end with an error where the answers differ."""
    torch.set_num_threads(1)  # two threads would wait for each other, and for other programs
    setup = varied(bench(size, PICTURES * questions), size)
    answers = [sample.answer for sample in setup.samples]
    options = [
        replace(sample, answer=answers[(i + 7 * j) % len(answers)])
        for i, sample in enumerate(setup.samples)
        for j in range(OPTIONS)
    ]
    texts, likely = check(setup, options, batch)
    typer.echo(f"{size}: {len(texts)} replies, {len(set(texts))} different, and {len(likely)} likelihoods are the same")
    few, many = setup.samples[:ALONE], options[: ALONE * OPTIONS]
    names = ("replies", "likelihoods", "both")
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(runs):
        alone = [seconds(lambda: one_reply(setup, few)), seconds(lambda: one_likelihood(setup, many))]
        fast = [
            seconds(lambda: replies(setup.model, fresh(setup), setup.samples, batch, TOKENS, "asking")),
            seconds(lambda: log_likelihoods(setup.model, fresh(setup), options, batch)),
        ]
        again = [seconds(lambda: one_reply(setup, few)), seconds(lambda: one_likelihood(setup, many))]
        slow = [(a + b) / 2 * len(setup.samples) / ALONE for a, b in zip(alone, again, strict=True)]
        for name, value in zip(names, (slow[0] / fast[0], slow[1] / fast[1], sum(slow) / sum(fast)), strict=True):
            ratios[name].append(value)
    for name, values in ratios.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        typer.echo(f"{size}, one at a time / {name}: {low:.2f}, {middle:.2f}, {high:.2f}")


def varied(setup: Bench, size: str) -> Bench:
    """Make the random weights larger, so that what the model says depends on what it is asked."""
    for parameter in setup.model.parameters():
        parameter.data *= 6 * math.sqrt(32 / SIZES[size].width) if parameter.ndim > 1 else 1
    return setup


def fresh(setup: Bench) -> Encoder:
    """Return an encoder that has encoded nothing yet."""
    return Encoder(setup.encoder.processor, setup.encoder.pictures, setup.encoder.device)


@torch.no_grad()
def one_reply(setup: Bench, samples: list[Sample]) -> list[str]:
    """Ask one at a time, picture and prompt encoded again for each, as the published benchmarks' scripts do."""
    texts = []
    for sample in samples:
        inputs = fresh(setup).prompts([sample])
        ids = setup.model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS)
        new = ids[0, inputs["input_ids"].shape[1] :]
        texts.append(setup.encoder.tokenizer.decode(new, skip_special_tokens=True).strip())
    return texts


@torch.no_grad()
def one_likelihood(setup: Bench, samples: list[Sample]) -> list[float]:
    """Return the mean log-likelihood per token of each answer, one forward pass each."""
    means = []
    for sample in samples:
        batch = fresh(setup).batch([sample])
        log_p = answer_logits(setup.model, batch)[0].log_softmax(-1).gather(-1, batch.answers[0][:, None])
        means.append(log_p.mean().item())
    return means


def check(setup: Bench, options: list[Sample], batch: int) -> tuple[list[str], list[float]]:
    """Return the fast paths' replies and likelihoods for some questions about each picture, if they are the plain ones.

    Raises:
        SystemExit: they differ, or the model doesn't allow the fast paths.
    """
    few, many = setup.samples[: 2 * PICTURES], options[: 2 * PICTURES * OPTIONS]
    texts = replies(setup.model, fresh(setup), setup.samples, batch, TOKENS, "asking")[: len(few)]
    likely = log_likelihoods(setup.model, fresh(setup), many, batch)
    close = all(abs(a - b) < 1e-4 for a, b in zip(likely, one_likelihood(setup, many), strict=True))
    if texts != one_reply(setup, few) or not close:
        raise SystemExit("the answers differ")
    if fallbacks():
        raise SystemExit(f"nothing to measure: {fallbacks()}")
    return texts, likely


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
