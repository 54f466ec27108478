"""Time and memory on a device that computes behind the program's back."""

import statistics
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.timing import seconds

GIB = 2**30


class Cost(NamedTuple):
    """What a piece of work takes: seconds, the median of the rounds, and GiB at its peak; None without a GPU."""

    seconds: float
    peak: float | None


def in_turns(device: torch.device, rounds: int, ways: Mapping[str, Callable[[], object]]) -> dict[str, Cost]:
    """Return the cost of each way. They take turns, and the round before the first is not counted."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks: dict[str, list[float | None]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, work in ways.items():
            took, peak = measured(device, work)
            if number:  # the first finds cold caches, and fast paths are verified in it
                times[name].append(took)
                peaks[name].append(peak)
    return {
        name: Cost(statistics.median(times[name]), max((p for p in peaks[name] if p is not None), default=None))
        for name in ways
    }


def measured(device: torch.device, work: Callable[[], object]) -> Cost:
    """Run ``work`` once; the clock stops when the device has done it."""
    if device.type != "cuda":
        return Cost(seconds(work), None)

    def to_the_end() -> None:
        work()
        torch.cuda.synchronize(device)

    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    took = seconds(to_the_end)
    return Cost(took, torch.cuda.max_memory_allocated(device) / GIB)


class _Launches(TorchDispatchMode):
    """Counts the operations that compute, at least one kernel each: not views, nor what only takes memory."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view and not func.__name__.startswith(("empty", "new_empty", "_unsafe_view"))
        return func(*args, **(kwargs or {}))


def launches(work: Callable[[], object]) -> int:
    """Return how many of torch's operations ``work`` launches, views apart; its backward pass counts too."""
    with _Launches() as counted:
        work()
    return counted.count


def product_ceiling(device: torch.device, dtype: torch.dtype, rounds: int) -> float:
    """Return the operations per second of square matrix products, 2 n^3 each."""
    side, times = (16_384, 8) if device.type == "cuda" else (512, 8)
    left, right, product = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(3))

    def multiply() -> None:
        for _ in range(times):
            torch.mm(left, right, out=product)  # deterministic torch would fill fresh memory first

    return times * 2 * side**3 / in_turns(device, rounds, {"product": multiply})["product"].seconds


def copy_bandwidth(device: torch.device, rounds: int) -> float:
    """Return the bytes per second of copies within the device's memory; each byte counts twice, read and written."""
    size, times = (4 * GIB, 8) if device.type == "cuda" else (GIB // 64, 8)
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))

    def copy() -> None:
        for _ in range(times):
            target.copy_(source)

    return times * 2 * size / in_turns(device, rounds, {"copy": copy})["copy"].seconds
