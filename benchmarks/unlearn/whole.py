"""``python -m benchmarks.unlearn.whole``: a ViKeR run, its teacher included, versus one of gradient ascent."""

import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.unlearn.model import IMAGES, METHODS, bench
from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.teacher.visual import TEACHER_BATCH, compute_teachers
from viker.training.make_trainer import make_trainer


def command(
    params: ParamsOption = Path("params.yaml"),
    size: Annotated[str, typer.Option(help="toy; llava or llava-quarter: 576 image tokens.")] = "llava",
    samples: Annotated[int, typer.Option(help="Forget samples, in batches of two.")] = 100,
    epochs: Annotated[int, typer.Option(help="Epochs of training; the teacher is asked once.")] = 1,
    runs: Annotated[int, typer.Option(help="Times that the pair is timed, in turn.")] = 5,
) -> None:
    """Time both from the loaded model to the last step, and print the lowest, median and highest ratio.

    In CPU seconds of one thread: a run takes minutes, in which others want the cores too.
    """
    settings = load_params(params)
    torch.set_num_threads(1)
    _run(settings, size, 4, 1, "viker")  # the first finds cold caches
    ratios = []
    for _ in range(runs):
        ga, viker = (_run(settings, size, samples, epochs, method) for method in ("ga", "viker"))
        ratios.append(viker / ga)
        typer.echo(f"{size}, {samples} samples, {epochs} epochs: GA {ga:.1f} s, ViKeR {viker:.1f} s", err=True)
    typer.echo(
        f"{size}, {samples} samples, {epochs} epochs, whole run, ViKeR / GA: "
        f"{min(ratios):.2f}, {statistics.median(ratios):.2f}, {max(ratios):.2f}"
    )


def _run(settings: Any, size: str, count: int, epochs: int, method: str) -> float:
    """Return the CPU seconds of teacher, where the method has one, and training; the model is built before."""
    benched = bench(size, count)
    model, encoder, samples = benched.model, benched.encoder, benched.samples
    changes = {"method": METHODS[method], "batch_size": 2, "epochs": epochs}
    section = settings.unlearn.model_copy(update=changes)

    def run() -> None:
        teachers: Any = []
        if method == "viker":
            teachers = compute_teachers(model, encoder, samples, [IMAGES] * count, TEACHER_BATCH)
        make_trainer(section, settings.seed, model, encoder, samples, samples, teachers).train()

    before = time.process_time()
    run()
    return time.process_time() - before


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
