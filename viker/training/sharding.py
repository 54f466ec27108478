"""Sharding of a model too large for one GPU: each process holds a part of every language-model layer (FSDP)."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from viker.core.distributed import any_of, processes
from viker.core.errors import UserError
from viker.models.library_hooks import leave_out_of_ddp

log = logging.getLogger(__name__)


def load_in_turn(load: Callable[[], Any], device: torch.device) -> Any:
    """Return this process's part of the model that ``load`` puts on the CPU, on ``device``.

    The processes load one after the other, so that the machine holds one whole model at a time. The language model is
    sharded, layer by layer; the vision tower, the projector and the output head, which other code calls by itself,
    stay whole in each process.

    Raises UserError: the language model has no list of layers.
    """
    state = processes()
    mesh = init_device_mesh(device.type, (state.num_processes,))
    model = None
    for turn in range(state.num_processes):
        if turn == state.process_index:
            model = _shard(load(), mesh).to(device)
        state.wait_for_everyone()
    return model


def _shard(model: Any, mesh: Any) -> Any:
    language, head = model.get_decoder(), model.get_output_embeddings()
    layers = [part for part in language.modules() if isinstance(part, GradientCheckpointingLayer)]
    if not layers:
        raise UserError(
            f"unlearn.shard is true, but the language model of {type(model).__name__} has no layers of transformers' "
            "kind to shard. Set it to false."
        )
    whole = sum(parameter.numel() for parameter in model.parameters())
    shared = set(language.parameters()) - set(head.parameters())
    unsharded = {parameter for parameter in model.parameters() if parameter not in shared}
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=unsharded)
    fully_shard(model.base_model, mesh=mesh, reshard_after_forward=True, ignored_params=unsharded)
    log.info("process %d holds %d of %d parameters", processes().process_index, held(model), whole)
    return model


def held(model: Any) -> int:
    """Return how many of the model's parameters this process holds."""
    local = (p.to_local() if isinstance(p, DTensor) else p for p in model.parameters())
    return sum(parameter.numel() for parameter in local)


def leave_to_fsdp(adapted: Any) -> None:
    """Have DDP, which averages the adapter's gradients, leave out the sharded parameters."""
    names = [name for name, parameter in adapted.named_parameters() if isinstance(parameter, DTensor)]
    if names:
        leave_out_of_ddp(adapted, names)


@contextmanager
def in_step(model: Any, idle: Callable[[], object]) -> Iterator[None]:
    """Let processes that share a model do different numbers of forward passes: each needs the others' shards.

    A process that is through with its own calls ``idle``, which does one forward pass, until the last is through.
    """
    if processes().num_processes == 1 or not isinstance(model.base_model, FSDPModule):
        yield
        return

    def announce(*_: Any) -> None:
        any_of(True)

    hook = model.register_forward_pre_hook(announce)
    try:
        yield
    finally:
        hook.remove()
    while any_of(False):
        idle()
