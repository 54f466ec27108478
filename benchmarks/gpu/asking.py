"""The teacher, replies and likelihoods, each versus the way that one would write first."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from benchmarks.evaluate import ALONE, OPTIONS, TOKENS, fresh, one_likelihood
from benchmarks.gpu.row import Row
from benchmarks.gpu.setup import Setup
from benchmarks.gpu.timing import Cost, in_turns
from benchmarks.unlearn.model import IMAGES, Bench
from benchmarks.unlearn.naive import naive_teacher
from viker.generation.generate import log_likelihoods, replies
from viker.models.fused_layers import ASKING, fuse_layers
from viker.teacher.visual import compute_teachers

BATCH = 64
NAIVE = 2
"""Samples that the naive teacher is timed on: it takes the same time for each."""


def teacher(setup: Setup, pass_size: int) -> list[Row]:
    """Return the seconds of the teacher with k = 5, ``pass_size`` samples after an image in one pass."""
    bench, fused, count = setup.bench, as_in_stages(setup), len(setup.bench.samples)
    few = bench.samples[:NAIVE]
    cost = in_turns(
        setup.device,
        setup.rounds,
        {
            "naive": lambda: [naive_teacher(bench.model, bench.encoder, sample, IMAGES) for sample in few],
            "fast": lambda: compute_teachers(fused, bench.encoder, bench.samples, [IMAGES] * count, pass_size),
        },
    )
    naive = cost["naive"].seconds * count / len(few)
    fast = cost["fast"]
    name = f"teacher, {count} samples, {len(IMAGES)} images each, {pass_size} a pass"
    note = f"the naive way timed on {len(few)}"
    return [Row(name, fast.seconds, "s", naive, naive / fast.seconds, "naive / fast", peak_gib=fast.peak, note=note)]


def vanilla_replies(setup: Setup) -> list[Row]:
    """Return the tokens per second of greedy replies, versus ``generate`` of transformers in the same batch."""
    bench, count = asked(setup), len(asked(setup).samples)
    fused = replace(bench, model=as_in_stages(setup))
    cost = in_turns(setup.device, setup.rounds, {"ours": partial(reply, fused), "plain": partial(generate, bench)})
    ours, plain = (speed(cost[name], count) for name in ("ours", "plain"))
    same = sum(one == other for one, other in zip(reply(fused), generate(bench), strict=True))
    name = f"replies of the vanilla model, batch {count}, {TOKENS} tokens"
    note = f"{same} of {count} the same"
    return [Row(name, ours, "tokens/s", plain, ours / plain, "ours / generate", peak_gib=cost["ours"].peak, note=note)]


def unlearned_replies(setup: Setup) -> list[Row]:
    """Return the tokens per second of the model with an adapter, versus without one."""
    bench, count = replace(asked(setup), model=as_in_stages(setup)), len(asked(setup).samples)
    trainer = setup.trainer(setup.section("viker", 2), setup.taken(2))
    adapted = replace(bench, model=trainer.model.eval())
    cost = in_turns(setup.device, setup.rounds, {"adapted": partial(reply, adapted), "vanilla": partial(reply, bench)})
    ours, vanilla = (speed(cost[name], count) for name in ("adapted", "vanilla"))
    name = f"replies of the unlearned model, batch {count}, {TOKENS} tokens"
    return [Row(name, ours, "tokens/s", vanilla, ours / vanilla, "unlearned / vanilla", peak_gib=cost["adapted"].peak)]


def likelihoods(setup: Setup) -> list[Row]:
    """Return the answers per second whose likelihood is computed, versus one forward pass each."""
    bench = asked(setup)
    answers = [sample.answer for sample in bench.samples]
    options = [
        replace(sample, answer=answers[(i + 7 * j) % len(answers)])
        for i, sample in enumerate(bench.samples)
        for j in range(OPTIONS)
    ]
    few, fused = options[: ALONE * OPTIONS], as_in_stages(setup)
    cost = in_turns(
        setup.device,
        setup.rounds,
        {
            "ours": lambda: log_likelihoods(fused, fresh(bench), options, BATCH),
            "plain": lambda: one_likelihood(bench, few),
        },
    )
    ours, plain = len(options) / cost["ours"].seconds, len(few) / cost["plain"].seconds
    name = f"likelihoods of {OPTIONS} answers to each of {len(bench.samples)} questions"
    note = f"one at a time timed on {len(few)}"
    return [Row(name, ours, "answers/s", plain, ours / plain, "ours / plain", peak_gib=cost["ours"].peak, note=note)]


def as_in_stages(setup: Setup) -> Any:
    """Return the model as unlearn and evaluate ask it: on a GPU by fused layers."""
    model = setup.twin()
    if setup.device.type == "cuda":
        fuse_layers(model, setup.bench.encoder, setup.bench.samples, ASKING)
    return model


def asked(setup: Setup) -> Bench:
    """Return the model with the questions of one batch."""
    return replace(setup.bench, samples=setup.bench.samples[:BATCH])


def reply(bench: Bench) -> list[str]:
    """Reply to all questions in one batch; a model with random weights doesn't end before ``TOKENS`` tokens."""
    return replies(bench.model, fresh(bench), bench.samples, BATCH, TOKENS, "asking")


@torch.no_grad()
def generate(bench: Bench) -> list[str]:
    """Reply to the same questions in the same batch as transformers does."""
    inputs = fresh(bench).prompts(bench.samples)
    ids = bench.model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS, min_new_tokens=TOKENS)
    texts = bench.encoder.tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in texts]


def speed(cost: Cost, count: int) -> float:
    """Return the tokens per second of ``count`` replies."""
    return count * TOKENS / cost.seconds
