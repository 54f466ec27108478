"""``python -m benchmarks.evaluate``: replies and likelihoods beside one sample at a time, at equal answers."""

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
from viker.models.logits import answer_logits

PICTURES = 4
TOKENS = 50
"""New tokens of a reply, as in the benchmarks; a model of random weights doesn't end before."""
OPTIONS = 4
"""Answers a question whose likelihoods are asked for: the true one and three others."""
ALONE = 3
"""Questions that are asked one at a time, before and after the fast pass: each takes the same."""


def command(
    size: Annotated[str, typer.Option(help="toy; llava or llava-quarter: 576 image tokens.")] = "toy",
    questions: Annotated[int, typer.Option(help="Questions a picture, of four pictures.")] = 18,
    batch: Annotated[int, typer.Option(help="Questions a batch.")] = 64,
    runs: Annotated[int, typer.Option(help="Times that each pair is timed, in turn.")] = 5,
) -> None:
    """Print each ratio's lowest, median and highest value; end with an error where the answers differ."""
    torch.set_num_threads(1)  # two threads that wait for each other measure whoever else uses the cores
    made = varied(bench(size, PICTURES * questions), size)
    answers = [sample.answer for sample in made.samples]
    options = [
        replace(sample, answer=answers[(i + 7 * j) % len(answers)])
        for i, sample in enumerate(made.samples)
        for j in range(OPTIONS)
    ]
    said, likely = check(made, options, batch)
    typer.echo(f"{size}: {len(said)} replies, {len(set(said))} different, and {len(likely)} likelihoods are the same")
    few, many = made.samples[:ALONE], options[: ALONE * OPTIONS]
    names = ("replies", "likelihoods", "both")
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(runs):
        alone = [seconds(lambda: one_reply(made, few)), seconds(lambda: one_likelihood(made, many))]
        fast = [
            seconds(lambda: replies(made.model, fresh(made), made.samples, batch, TOKENS, "asking")),
            seconds(lambda: log_likelihoods(made.model, fresh(made), options, batch)),
        ]
        again = [seconds(lambda: one_reply(made, few)), seconds(lambda: one_likelihood(made, many))]
        slow = [(a + b) / 2 * len(made.samples) / ALONE for a, b in zip(alone, again, strict=True)]
        for name, value in zip(names, (slow[0] / fast[0], slow[1] / fast[1], sum(slow) / sum(fast)), strict=True):
            ratios[name].append(value)
    for name, values in ratios.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        typer.echo(f"{size}, one at a time / {name}: {low:.2f}, {middle:.2f}, {high:.2f}")


def varied(made: Bench, size: str) -> Bench:
    """Make the random weights larger, so that what the model says depends on what it is asked."""
    for parameter in made.model.parameters():
        parameter.data *= 6 * math.sqrt(32 / SIZES[size].width) if parameter.ndim > 1 else 1
    return made


def fresh(made: Bench) -> Encoder:
    """Return an encoder that has seen nothing yet."""
    return Encoder(made.encoder.processor, made.encoder.pictures, made.encoder.device)


@torch.no_grad()
def one_reply(made: Bench, samples: list[Sample]) -> list[str]:
    """Ask one at a time: picture and prompt are encoded anew for each, as the benchmarks' own scripts do."""
    said = []
    for sample in samples:
        inputs = fresh(made).prompts([sample])
        ids = made.model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS)
        new = ids[0, inputs["input_ids"].shape[1] :]
        said.append(made.encoder.tokenizer.decode(new, skip_special_tokens=True).strip())
    return said


@torch.no_grad()
def one_likelihood(made: Bench, samples: list[Sample]) -> list[float]:
    """Return the mean log-likelihood a token of each answer, a forward pass each."""
    found = []
    for sample in samples:
        batch = fresh(made).batch([sample])
        chosen = answer_logits(made.model, batch)[0].log_softmax(-1).gather(-1, batch.answers[0][:, None])
        found.append(chosen.mean().item())
    return found


def check(made: Bench, options: list[Sample], batch: int) -> tuple[list[str], list[float]]:
    """Return the fast way's replies and likelihoods of some questions of each picture, if they are the slow way's.

    Raises:
        SystemExit: they are not.
    """
    few, many = made.samples[: 2 * PICTURES], options[: 2 * PICTURES * OPTIONS]
    said = replies(made.model, fresh(made), made.samples, batch, TOKENS, "asking")[: len(few)]
    likely = log_likelihoods(made.model, fresh(made), many, batch)
    close = all(abs(a - b) < 1e-4 for a, b in zip(likely, one_likelihood(made, many), strict=True))
    if said != one_reply(made, few) or not close:
        raise SystemExit("the answers differ")
    return said, likely


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
