"""The frozen model that a run starts from."""

from pathlib import Path
from typing import Any

import torch

from viker.core.distributed import processes
from viker.models.base_model import resolve_model
from viker.models.loading import device, load_model
from viker.training.adapter import check_start
from viker.training.settings import UnlearnParams
from viker.training.sharding import load_in_turn


def load_start_model(params: UnlearnParams, vanilla: Path) -> tuple[Any, Any]:
    """Return the model to train, in ``unlearn.precision`` and sharded with ``unlearn.shard``, and its processor.

    It is the vanilla model in the folder ``vanilla``, unless the method names another.

    Raises UserError: it can't be loaded or sharded, or the adapter that ``unlearn.start_from`` names doesn't fit it.
    """
    if params.method.start_model is None:
        name, where = resolve_model(vanilla), str(vanilla)
    else:
        name, where = params.method.start_model, "unlearn.method.base_model"
    check_start(params, name)
    processors = []

    def load(on: torch.device) -> Any:
        model, processor = load_model(name, where, params.load_in_4bit, on)
        for parameter in model.parameters():  # not the buffers: rotary positions need float32
            if parameter.is_floating_point():  # what is in 4 bits stays so
                parameter.data = parameter.data.to(getattr(torch, params.precision))
        processors.append(processor)
        return model

    sharded = params.shard and processes().num_processes > 1
    model = load_in_turn(lambda: load(torch.device("cpu")), device()) if sharded else load(device())
    return model, processors[0]
