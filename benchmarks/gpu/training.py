"""Steps of ViKeR versus steps of gradient ascent, the memory that training takes, and whether it can be repeated."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.gpu.operations import step_operations
from benchmarks.gpu.row import Row
from benchmarks.gpu.setup import Setup
from benchmarks.gpu.timing import GIB, in_turns, launches, measured
from benchmarks.unlearn.model import METHODS
from pipelines.cli.plan import RESERVE, estimate
from viker.methods.base.method import RetainTerm
from viker.training.memory import sizes_of
from viker.training.settings import UnlearnParams

STEPS = 3
CARDS = {"7b": 24, "13b": 40}
"""The GPU, GB, that training should fit."""


def training(setup: Setup, batch: int, checkpointing: bool) -> list[Row]:
    """Return the time, the share of the ceiling and the memory of a step of ``batch`` samples."""
    ceiling = setup.ceiling  # before anything else takes memory
    name = ("checkpointed, " if checkpointing else "") + f"batch {batch}"
    memory = training_memory(setup, batch, checkpointing, name)
    sections = {method: setup.section(method, batch, checkpointing) for method in ("viker", "ga")}
    steps = {method: forward_and_backward(setup, section) for method, section in sections.items()}
    cost = in_turns(setup.device, setup.rounds, steps)
    viker, ga = cost["viker"], cost["ga"]
    sequence, answer = lengths(setup, batch)
    operations = step_operations(sizes_of(setup.bench.model), sections["viker"].lora_r, batch, sequence, answer)
    return [
        Row(
            f"step, {name}",
            1000 * viker.seconds,
            "ms",
            1000 * ga.seconds,
            viker.seconds / ga.seconds,
            "ViKeR / GA",
            peak_gib=viker.peak,
        ),
        Row(
            f"share of the ceiling, {name}",
            operations / viker.seconds / 1e12,
            "TFLOP/s",
            ceiling / 1e12,
            operations / viker.seconds / ceiling,
            "step / matrix product",
        ),
        memory,
    ]


def kernels(setup: Setup, batch: int) -> list[Row]:
    """Return time and launches of a step as ``unlearn.kernels: auto`` computes it, versus plain."""
    steps = by_kernels(setup, setup.section("viker", batch))
    timed = auto_to_plain(setup, f"step by kernels auto, batch {batch}", "auto / plain", steps)
    launched = {name: launches(step) for name, step in steps.items()}
    ratio = launched["auto"] / launched["plain"]
    name = f"operations that a step launches, batch {batch}"
    return [timed, Row(name, launched["auto"], "", launched["plain"], ratio, "auto / plain")]


def retaining(setup: Setup, batch: int) -> list[Row]:
    """Return the time of a step with as many retain samples and a term on them, in one pass versus in two."""
    method = METHODS["viker"].model_copy(update={"retain": RetainTerm(term="kl", weight=1.0)})
    section = setup.section("viker", batch).model_copy(update={"method": method, "retain_batch_size": batch})
    name = f"step with a retain term, {batch} and {batch} samples"
    return [auto_to_plain(setup, name, "one pass / two with a mask", by_kernels(setup, section))]


def by_kernels(setup: Setup, section: UnlearnParams) -> dict[str, Callable[[], None]]:
    """Return a step under each value of ``unlearn.kernels``."""
    ways = ("auto", "plain")
    return {way: forward_and_backward(setup, section.model_copy(update={"kernels": way})) for way in ways}


def auto_to_plain(setup: Setup, name: str, of: str, steps: Mapping[str, Callable[[], None]]) -> Row:
    """Return the time of the step ``auto``, and its ratio to that of ``plain``."""
    cost = in_turns(setup.device, setup.rounds, steps)
    auto, plain = cost["auto"], cost["plain"]
    times = 1000 * auto.seconds, "ms", 1000 * plain.seconds, auto.seconds / plain.seconds
    peak = "" if plain.peak is None else f"plain: {plain.peak:.1f} GiB"
    return Row(name, *times, of, peak_gib=auto.peak, note=peak)


def forward_and_backward(setup: Setup, section: UnlearnParams) -> Callable[[], None]:
    """Return one training step without the optimiser, which all methods have alike."""
    trainer = setup.trainer(section, setup.taken(section.batch_size))
    model = trainer.model.train()
    if section.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs)
    rows = list(trainer.train_dataset)

    def step() -> None:
        trainer.compute_loss(model, trainer.data_collator(rows)).backward()
        model.zero_grad()

    return step


def training_memory(setup: Setup, batch: int, checkpointing: bool, name: str) -> Row:
    """Return the peak of real training, optimiser included, versus what ``viker plan`` says of it."""
    section = setup.section("viker", batch, checkpointing)
    trainer = setup.trainer(section, setup.taken(STEPS * batch))
    peak = measured(setup.device, trainer.train).peak
    sequence, answer = lengths(setup, batch)
    planned = planned_gib(setup, section, sequence, answer, len(trainer.train_dataset))
    row = f"memory of training, {name}"
    if peak is None:
        return Row(row, naive=planned, unit="GiB", of="measured / planned", note="not measured: no GPU")
    card = CARDS.get(setup.size)
    fits = "" if card is None else f"{'fits' if peak <= (1 - RESERVE) * card else 'does not fit'} {card} GB"
    return Row(row, peak, "GiB", planned, peak / planned, "measured / planned", peak_gib=peak, note=fits)


def planned_gib(setup: Setup, section: Any, sequence: int, answer: int, samples: int) -> float:
    """Return the peak of training by the plan, GiB, for samples of so many tokens."""
    params = setup.params.model_copy(update={"unlearn": section})
    image = image_tokens(setup)
    planned = estimate(params, samples, sequence - image - answer, answer, image)
    return float(planned["peaks"]["training"]) / GIB


def image_tokens(setup: Setup) -> int:
    """Return how many of a sample's tokens are its picture's."""
    ids = setup.bench.encoder.encode(setup.bench.samples[0])[0]
    return ids.count(setup.bench.model.config.image_token_id)


def lengths(setup: Setup, batch: int) -> tuple[int, int]:
    """Return the tokens of the longest of the first ``batch`` samples, and of the longest answer."""
    encoded = [setup.bench.encoder.encode(sample) for sample in setup.taken(batch)]
    return max(len(ids) for ids, _ in encoded), max(count for _, count in encoded)


def repeated(setup: Setup) -> list[Row]:
    """Return whether two runs of a few steps end with the same adapter, to the byte."""
    hashes = [adapter_hash(setup) for _ in range(2)]
    same = "yes" if hashes[0] == hashes[1] else "no"
    return [Row("two runs end with the same adapter", same, note=f"{STEPS} steps of 2 samples")]


def adapter_hash(setup: Setup) -> str:
    """Return the SHA-256 of the adapter after a short run."""
    trainer = setup.trainer(setup.section("viker", 2), setup.taken(STEPS * 2))
    trainer.train()
    adapter = {name: p for name, p in trainer.model.named_parameters() if p.requires_grad}
    digest = hashlib.sha256()
    for name in sorted(adapter):
        digest.update(adapter[name].detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
