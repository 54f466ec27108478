"""How many samples go through a model in one pass: half as many where the memory runs out, for the rest of the run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch.distributed.fsdp import FSDPModule

from viker.core.errors import UserError
from viker.models.fallback import record
from viker.models.fitting import fitting

Item = TypeVar("Item")
Result = TypeVar("Result")

WHAT_TO_DO = (
    "Use a GPU with more memory ('viker plan' says which are large enough), or one that no other program uses. A model "
    "takes less in half precision (unlearn.precision: bfloat16) and, to unlearn, in 4 bits (unlearn.load_in_4bit: "
    "true); evaluate.processes: 1 holds one model in place of two."
)


@dataclass(frozen=True)
class PassSize:
    """A kind of pass, of which this run's memory may hold fewer samples than are wanted.

    ``what``: what a run goes without then, for its record.
    """

    what: str

    def most(self, wanted: int) -> int:
        """Return how many samples a pass may have: ``wanted``, or fewer where the memory has run out before."""
        return min(wanted, LIMITS.get(self, wanted))

    def limit(self, most: int, reason: str) -> None:
        """Let no later pass of this run have more than ``most`` samples, for a ``reason`` that is recorded."""
        LIMITS[self] = most
        record(self.what, reason, f"no {self.what}, at most {most} in one pass")

    def begin(self, wanted: int, free: int, needed: Callable[[int], int]) -> int:
        """Return ``fitting``, and record once that it was fewer than ``wanted``; later passes may be larger."""
        size = fitting(wanted, free, needed)
        if size < wanted:
            reason = "by the plan the free memory holds fewer samples than a batch has"
            record(self.what, reason, f"no {self.what}, {size} in one pass to begin with")
        return size

    def each(
        self,
        model: Any,
        samples: Sequence[Item],
        size: int,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        release: Callable[[Sequence[Item]], bool] = lambda samples: False,
    ) -> Iterator[Result]:
        """Yield the results of passes of at most ``size`` samples, one after the other.

        A pass that runs out of memory is halved and computed again; what was yielded before stays. accelerate's
        ``find_executable_batch_size`` would begin with the first sample again, and forget the size.

        Args:
            model: what the passes go through.
            samples: what is computed.
            size: samples per pass, where the memory holds them.
            compute: one pass; returns its results.
            release: called after a pass ran out of memory, with its samples; frees what is kept between passes, and
                returns whether that may be enough for as many samples.

        Raises UserError: the memory doesn't hold a single sample, or runs out in one of several processes that share
        the model, and so have to take part in each other's passes.
        """
        start = failed = 0
        while start < len(samples):
            part = samples[start : start + self.most(size)]
            try:
                results = compute(part)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                enough = release(part)
                if any(isinstance(module, FSDPModule) for module in model.modules()):
                    what = f"{len(part)} samples don't fit, and processes that share a model can't make passes smaller"
                    raise UserError(f"No memory for a {self.what}: {what}. {error} {WHAT_TO_DO}") from error
                if len(part) == 1 and not enough:
                    what = "a single sample doesn't fit either"
                    raise UserError(f"No memory for a {self.what}: {what}. {error} {WHAT_TO_DO}") from error
            else:
                if failed:
                    self.limit(len(part), f"{len(part)} of {failed} samples fit the memory")
                    failed = 0
                yield from results
                start += len(part)
                continue
            clear_device_cache(garbage_collection=True)  # only here: the error held the tensors of the pass
            if not enough:
                failed = failed or len(part)
                LIMITS[self] = len(part) // 2


LIMITS: dict[PassSize, int] = {}
"""The most samples of a pass that this run's memory holds, by kind; no entry where it has held all."""


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that memory ran out, on a GPU or in torch's allocator on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes of a GPU that this process can still allocate, unused blocks of its own among them.

    None on the CPU, whose memory other programs take and give back at any time.
    """
    if device.type != "cuda":
        return None
    free, whole = torch.cuda.mem_get_info(device)
    share = int(torch.cuda.get_per_process_memory_fraction(device) * whole)
    return min(free + torch.cuda.memory_reserved(device), share) - torch.cuda.memory_allocated(device)


def share_gpu(processes: int) -> None:
    """Leave other processes of a run their parts of the GPU's memory; to take more than its own is to run out of it."""
    if torch.cuda.is_available() and processes > 1:
        torch.cuda.set_per_process_memory_fraction(1 / processes)
