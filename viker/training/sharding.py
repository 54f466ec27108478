"""A model too large for one GPU: the frozen language model is shared out among the processes, layer by layer (FSDP)."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers.modeling_layers import GradientCheckpointingLayer

from viker.core.distributed import any_of, rank, together, wait, world
from viker.core.errors import UserError

log = logging.getLogger(__name__)


def load_in_turn(load: Callable[[], Any], device: torch.device) -> Any:
    """Return this process's part of the model that ``load`` puts on the CPU, on ``device``.

    One process loads after the other, so that the machine holds one whole model at a time. The layers of the language
    model are sharded, and what it has besides; the vision tower, the projector and the output head, which other code
    calls by itself, stay whole in each process.

    Raises:
        UserError: the language model has no list of layers.
    """
    mesh = init_device_mesh(device.type, (world(),))
    model = None
    for turn in range(world()):
        if turn == rank():
            model = _shard(load(), mesh).to(device)
        wait()
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
    kept = {parameter for parameter in model.parameters() if parameter not in shared}
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=kept)
    fully_shard(model.base_model, mesh=mesh, reshard_after_forward=True, ignored_params=kept)
    log.info("process %d holds %d of %d parameters", rank(), held(model), whole)
    return model


def held(model: Any) -> int:
    """Return how many of the model's parameters this process holds."""
    local = (p.to_local() if isinstance(p, DTensor) else p for p in model.parameters())
    return sum(parameter.numel() for parameter in local)


def leave_to_fsdp(adapted: Any) -> None:
    """Have DDP, which averages the adapter's gradients, leave alone what is sharded."""
    names = [name for name, parameter in adapted.named_parameters() if isinstance(parameter, DTensor)]
    if names:
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(adapted, names)


@contextmanager
def in_step(model: Any, idle: Callable[[], object]) -> Iterator[None]:
    """Let the processes do unlike numbers of forward passes: each needs the others' parts of the layers.

    A process that has done its own goes on with ``idle``, which does one, until the last has done.
    """
    if not (together() and isinstance(model.base_model, FSDPModule)):
        yield
        return

    def tell(*_: Any) -> None:
        any_of(True, model.device)

    hook = model.register_forward_pre_hook(tell)
    try:
        yield
    finally:
        hook.remove()
    while any_of(False, model.device):
        idle()
