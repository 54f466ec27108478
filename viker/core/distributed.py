"""One run in several processes, as `accelerate launch` starts them; alone, a process is a world of one."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor

from viker.core.errors import UserError


def processes() -> PartialState:
    """Return the state of the run's processes; the first call joins them: NCCL on GPUs, gloo on CPUs."""
    return PartialState(cpu=not torch.cuda.is_available())


def check_launch() -> None:
    """Check that accelerate launch leaves the model alone.

    Raises UserError: it was told to wrap the model itself (FSDP, DeepSpeed): ``unlearn.shard`` shards it.
    """
    for name, variable in (("FSDP", "ACCELERATE_USE_FSDP"), ("DeepSpeed", "ACCELERATE_USE_DEEPSPEED")):
        if os.environ.get(variable, "false").lower() == "true":
            raise UserError(
                f"accelerate launch was told to use {name}. The stage shards the model by itself, as teacher and "
                "checkpoints need it: set unlearn.shard to true, and start it with --multi_gpu."
            )


def share_of(rows: Sequence[Any]) -> Sequence[Any]:
    """Return this process's part of ``rows``, every n-th.

    accelerate's ``split_between_processes`` gives contiguous parts instead: all long samples could fall to one process.
    """
    state = processes()
    return rows[state.process_index :: state.num_processes]


def mean(values: Tensor) -> Tensor:
    """Return the mean over the processes, without a gradient; ``values`` on the model's device."""
    processes()
    reduced: Tensor = reduce(values.detach(), "mean")
    return reduced


def token_mean(values: Tensor) -> Tensor:
    """Return sum(values) / (the mean number of values per process), so that the processes' average is the global mean.

    ``values`` [T]: one per token. DDP averages the gradients of processes whose answers have different lengths; a mean
    in each of them would weigh their tokens differently. accelerate has nothing for this.
    """
    if processes().num_processes == 1:
        return values.mean()
    count = mean(torch.tensor(float(len(values)), device=values.device))
    return values.sum() / count


def any_of(flag: bool) -> bool:
    """Return whether the flag is set in any process; a single one doesn't wait for its GPU."""
    if processes().num_processes == 1:
        return flag
    return bool(mean(torch.tensor(float(flag), device=processes().device)).item() > 0)
