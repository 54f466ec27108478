"""One run in several processes, as `accelerate launch` starts them: who does what, and what they tell each other.

A process alone is a world of one, and everything here is then nothing.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed

from viker.core.errors import UserError

Result = TypeVar("Result")


def join() -> PartialState:
    """Join the other processes of the run, if there are any: NCCL on GPUs, gloo on CPUs.

    Raises:
        UserError: accelerate was told to wrap the model itself (FSDP, DeepSpeed): ``unlearn.shard`` shards it.
    """
    for name, variable in (("FSDP", "ACCELERATE_USE_FSDP"), ("DeepSpeed", "ACCELERATE_USE_DEEPSPEED")):
        if os.environ.get(variable, "false").lower() == "true":
            raise UserError(
                f"accelerate launch was told to use {name}. The stage shards the model by itself, as teacher and "
                "checkpoints need it: set unlearn.shard to true, and start it with --multi_gpu."
            )
    return PartialState(cpu=not torch.cuda.is_available())


def together() -> bool:
    """Return whether there are other processes."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def world() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if together() else 1


def rank() -> int:
    """Return this process's number, from 0."""
    return distributed.get_rank() if together() else 0


def first() -> bool:
    """Return whether this is the process that writes files and prints."""
    return rank() == 0


def wait() -> None:
    """Wait until all processes are here."""
    if together():
        distributed.barrier()


def first_then_others(action: Callable[[], Result]) -> Result:
    """Let the first process act before the others do: what it writes or removes, they find so."""
    if not first():
        wait()
    result = action()
    if first():
        wait()
    return result


def share_of(rows: Sequence[Any]) -> Sequence[Any]:
    """Return this process's part of ``rows``: every ``world()``-th."""
    return rows[rank() :: world()]


def mean(values: Tensor) -> Tensor:
    """Return the mean over the processes, without a gradient; ``values`` on the model's device."""
    if not together():
        return values.detach()
    total = values.detach().clone()
    distributed.all_reduce(total)
    return total / world()


def token_mean(values: Tensor) -> Tensor:
    """Return sum(values) / (the mean number of values a process), so that the processes' average is the global mean.

    ``values`` [T]: one a token. DDP averages the gradients of processes, whose answers are of unlike lengths;
    a mean in each of them would weigh their tokens differently.
    """
    if not together():
        return values.mean()
    count = mean(torch.tensor(float(len(values)), device=values.device))
    return values.sum() / count


def any_of(flag: bool, device: torch.device) -> bool:
    """Return whether the flag is set in any process."""
    return flag if not together() else mean(torch.tensor(float(flag), device=device)).item() > 0


def all_of(values: Sequence[Result]) -> list[Result]:
    """Return the values of all processes, in their order."""
    if not together():
        return list(values)
    gathered: list[Any] = [None] * world()
    distributed.all_gather_object(gathered, list(values))
    return [value for some in gathered for value in some]
