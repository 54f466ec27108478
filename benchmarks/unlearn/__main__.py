"""``python -m benchmarks.unlearn``: the teacher versus the naive way, ViKeR versus gradient ascent."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.timing import seconds
from benchmarks.unlearn.model import IMAGES, METHODS, SIZES, bench
from benchmarks.unlearn.naive import full_forwards, naive_teacher
from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.teacher.visual import teacher_probabilities
from viker.training.make_trainer import make_trainer

NAIVE = 2
"""Samples that the naive teacher is timed on, before and after the fast one: it takes the same time for each."""


def command(
    params: ParamsOption = Path("params.yaml"),
    size: Annotated[str, typer.Option(help="toy; llava or llava-quarter: 576 image tokens.")] = "llava",
    samples: Annotated[int, typer.Option(help="Forget samples.")] = 200,
    runs: Annotated[int, typer.Option(help="Times that each pair is timed, in turn.")] = 5,
    # two threads that wait for each other measure whoever else uses the cores
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Print each ratio's lowest, median and highest value."""
    settings = load_params(params)
    torch.set_num_threads(threads)
    benched = bench(size, samples)
    images = [IMAGES] * samples
    peaks = {name: _peak(settings, size, name) for name in ("ga", "viker")}
    steps = {name: _step(settings, size, samples, name) for name in ("ga", "viker")}
    names = ("full forwards / fast teacher", "naive teacher / fast", "ViKeR step / GA step", "ViKeR run / GA run")
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for run in range(runs + 1):
        full = seconds(lambda: _each(full_forwards, benched))
        naive = seconds(lambda: _each(naive_teacher, benched))
        fast = (
            seconds(lambda: teacher_probabilities(benched.model, benched.encoder, benched.samples, images, 8)) / samples
        )
        naive = (naive + seconds(lambda: _each(naive_teacher, benched))) / (2 * NAIVE)
        full = (full + seconds(lambda: _each(full_forwards, benched))) / (2 * NAIVE)
        ga = seconds(steps["ga"])
        viker = seconds(steps["viker"])
        ga = (ga + seconds(steps["ga"])) / 2
        if run == 0:
            continue  # the first of each finds cold caches
        # what is timed is three steps of two samples
        measured = (full / fast, naive / fast, viker / ga, (2 * 3 * fast + viker) / ga)
        for values, value in zip(ratios.values(), measured, strict=True):
            values.append(value)
    typer.echo(f"{size}, peak memory of ViKeR / GA: {peaks['viker'] / peaks['ga']:.3f}")
    for name, values in ratios.items():
        typer.echo(f"{size}, {name}: {min(values):.2f}, {statistics.median(values):.2f}, {max(values):.2f}")


def _peak(settings: Any, size: str, method: str) -> int:
    """Return the most bytes that torch holds in two steps, weights included; in a process of its own."""
    changes = {"method": METHODS[method], "batch_size": 2, "epochs": 1}
    section = settings.unlearn.model_copy(update=changes)
    request = {"sizes": SIZES[size].model_dump(), "unlearn": section.model_dump(by_alias=True)}
    command = [sys.executable, "-m", "benchmarks.unlearn.peak", json.dumps(request)]
    return int(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)["peak"])


def _each(teacher: Callable[..., object], benched: Any) -> None:
    for sample in benched.samples[:NAIVE]:
        teacher(benched.model, benched.encoder, sample, IMAGES)


def _step(settings: Any, size: str, samples: int, method: str) -> Callable[[], None]:
    """Return one training step without the optimiser, which both methods have alike, on two samples."""
    benched = bench(size, samples)
    changes = {"method": METHODS[method], "batch_size": 2}
    section = settings.unlearn.model_copy(update=changes)
    forget = benched.samples[:2]
    teachers = teacher_probabilities(benched.model, benched.encoder, forget, [IMAGES] * 2, 2)
    trainer = make_trainer(section, settings.seed, benched.model, benched.encoder, forget, forget, teachers)
    rows = list(trainer.train_dataset)

    def step() -> None:
        for _ in range(3):
            trainer.compute_loss(trainer.model, trainer.data_collator(rows)).backward()

    return step


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
