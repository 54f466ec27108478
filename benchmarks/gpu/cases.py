"""What is measured, each by itself: one that the memory is too small for doesn't stop the others."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch

from benchmarks.gpu.asking import likelihoods, teacher, unlearned_replies, vanilla_replies
from benchmarks.gpu.row import OUT_OF_MEMORY, Row, goal
from benchmarks.gpu.setup import Setup
from benchmarks.gpu.timing import copy_bandwidth
from benchmarks.gpu.training import kernels, repeated, retaining, training
from viker.core.errors import UserError, did_you_mean
from viker.models.fast_path import fallbacks, start_run

Case = Callable[[Setup], list[Row]]
WHOLE = ("unlearn", "evaluate", "gate")
"""The stages of a whole run, each a case: what the one leaves, the next one takes."""


def whole(setup: Setup, stage: str) -> list[Row]:
    """Return the minutes of a stage of a whole run, and with the last one those of all; or why there are none.

    A package may be missing that the other cases do without.
    """
    try:
        from benchmarks.gpu.whole import timed_stage

        return timed_stage(setup, stage)
    except ModuleNotFoundError as error:
        return [Row(f"whole run, {stage}", note=f"not measured: {error.name} is not installed")]
    except UserError as error:
        return [Row(f"whole run, {stage}", note=f"not measured: {error}")]


def machine(setup: Setup) -> list[Row]:
    """Return what the device can do at most."""
    copies = copy_bandwidth(setup.device, setup.rounds)
    return [
        Row("matrix product, the ceiling", setup.ceiling / 1e12, "TFLOP/s"),
        Row("copies in the device's memory", copies / 1e12, "TB/s"),
    ]


CASES: dict[str, Case] = {
    "machine": machine,
    "train-2": partial(training, batch=2, checkpointing=False),
    "train-8": partial(training, batch=8, checkpointing=False),
    "train-2-checkpointed": partial(training, batch=2, checkpointing=True),
    "train-8-checkpointed": partial(training, batch=8, checkpointing=True),
    "train-2-kernels": partial(kernels, batch=2),
    "train-8-kernels": partial(kernels, batch=8),
    "train-2-retain": partial(retaining, batch=2),
    "teacher-8": partial(teacher, pass_size=8),
    "teacher-32": partial(teacher, pass_size=32),
    "replies-vanilla": vanilla_replies,
    "replies-unlearned": unlearned_replies,
    "likelihoods": likelihoods,
    "repeated": repeated,
    **{f"whole-{stage}": partial(whole, stage=stage) for stage in WHOLE},
}


def chosen(names: str) -> dict[str, Case]:
    """Return the cases whose names begin with one of ``names``, comma-separated.

    Raises UserError: no case is named so.
    """
    starts = [name.strip() for name in names.split(",")]
    for start in starts:
        if not any(name.startswith(start) for name in CASES):
            raise UserError(
                f"--rows: nothing is named '{start}'; there are {', '.join(CASES)}{did_you_mean(start, CASES)}"
            )
    return {name: case for name, case in CASES.items() if name.startswith(tuple(starts))}


def measure(setup: Setup, cases: Mapping[str, Case], say: Callable[[str], object]) -> Iterator[tuple[str, list[Row]]]:
    """Yield each case's name and rows once it is measured; ``say`` is told its name before it begins."""
    for name, case in cases.items():
        say(name)
        yield name, of_case(setup, name, case)


def of_case(setup: Setup, name: str, case: Case) -> list[Row]:
    """Return a case's rows with their goals, and with what the engine fell back from; or that memory ran out."""
    start_run()
    try:
        rows: Iterable[Row] = case(setup)
    except torch.OutOfMemoryError:
        rows = [Row(name, note=OUT_OF_MEMORY)]
    gc.collect()
    if setup.device.type == "cuda":
        torch.cuda.empty_cache()
    slow = "; ".join(f"without {one['what']}: {one['reason']}" for one in fallbacks())
    return [
        replace(row, goal=goal(setup.size, row.name), note="; ".join(part for part in (row.note, slow) if part))
        for row in rows
    ]
