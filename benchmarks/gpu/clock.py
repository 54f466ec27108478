"""How long a stage takes, summed over interruptions."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import torch

from benchmarks.gpu.timing import measured
from viker.attacks.base import perform
from viker.core.files import read_json, write_json

EVERY = 5.0
"""Seconds between saves: at most this much is lost when a stage is killed."""


@dataclass(frozen=True)
class Taken:
    """What a stage took: seconds, over ``parts`` runs; GiB at its peak in the last of them, None without a GPU.

    ``attacks``: seconds of each attack, on both models.
    """

    seconds: float = 0.0
    parts: int = 0
    peak: float | None = None
    has_ended: bool = False
    attacks: dict[str, float] = field(default_factory=dict)


class Clock:
    """The time of each stage, saved to a file; an interrupted stage adds to its time when it resumes."""

    def __init__(self, path: Path) -> None:
        """Read the times that earlier runs saved."""
        self._path = path
        before = read_json(path, "benchmarks.gpu") if path.is_file() else {}
        self.stages = {name: Taken(**taken) for name, taken in before.items()}
        self._attacks: dict[str, float] = {}

    def has_ended(self, name: str) -> bool:
        """Return whether a stage has run to its end."""
        return self.stages.get(name, Taken()).has_ended

    def time(self, device: torch.device, name: str, work: Callable[[], object]) -> Taken:
        """Run a stage and return what it took, earlier parts included; a finished one starts again from zero."""
        before = Taken() if self.has_ended(name) else self.stages.get(name, Taken())
        self._attacks, began, ended = dict(before.attacks), time.perf_counter(), Event()

        def write(seconds: float, **changes: Any) -> None:
            counted = replace(before, seconds=before.seconds + seconds, parts=before.parts + 1)
            self.stages[name] = replace(counted, attacks=dict(self._attacks), **changes)
            write_json(self._path, {name: vars(taken) for name, taken in self.stages.items()})

        def tick() -> None:
            while not ended.wait(EVERY):
                write(time.perf_counter() - began)

        ticking = Thread(target=tick, daemon=True)
        ticking.start()
        try:
            cost = measured(device, work)
        finally:
            ended.set()
            ticking.join()
        write(cost.seconds, peak=cost.peak, has_ended=True)
        return self.stages[name]

    def add_attack(self, name: str, seconds: float) -> None:
        """Count the time of an attack on one model."""
        self._attacks[name] = self._attacks.get(name, 0.0) + seconds


@contextmanager
def attacks_timed(clock: Clock) -> Iterator[None]:
    """Time each attack made in the block; one that was finished before an interruption isn't made or counted again."""
    plain = perform.perform

    def timed(attack: Any, *rest: Any) -> dict[str, Any]:
        began = time.perf_counter()
        made = plain(attack, *rest)
        clock.add_attack(attack.name, time.perf_counter() - began)
        return made

    vars(perform)["perform"] = timed
    try:
        yield
    finally:
        vars(perform)["perform"] = plain
