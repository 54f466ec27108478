"""Adapters from disk, loaded strictly: every tensor of theirs is used, and every layer that they name is filled."""

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, load_peft_weights

from viker.core.errors import UserError
from viker.models.base_model import CONFIG, WEIGHTS, adapter_config, named, need_adapter
from viker.models.loading import one_line
from viker.models.lora_precision import compute_in_model_precision


def load_adapter(model: Any, folder: Path, parameter: str | None = None, trainable: bool = False) -> PeftModel:
    """Return ``model`` with the adapter in ``folder``, in PEFT's format; in evaluation mode unless ``trainable``.

    ``model`` may be on the meta device, see ``empty_model``: then all is checked and nothing loaded. ``parameter``
    is the setting that names the folder, if any, for errors.

    Raises UserError: there is no adapter, it is damaged, its tensors are not those that its configuration asks for in
        this model, or some of its values aren't finite.
    """
    need_adapter(folder, parameter)
    adapter_config(folder, parameter)
    where, name = named(folder, parameter), type(model).__name__
    mapping = getattr(model, "_checkpoint_conversion_mapping", {})
    try:
        weights = load_peft_weights(str(folder), device="cpu", key_mapping=mapping)
    except Exception as error:  # safetensors, the file system and JSON each raise their own
        raise UserError(
            f"{where}: no whole adapter: {WEIGHTS} there can't be read ({one_line(error)}). {_REMEDY}"
        ) from None
    broken = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if broken:
        raise UserError(
            f"{where}: {len(broken)} of the adapter's {len(weights)} tensors have values that aren't finite (NaN or "
            f"infinity), such as {broken[0]}. {_REMEDY}"
        )
    try:
        with warnings.catch_warnings():  # PEFT warns of what is an error below
            warnings.simplefilter("ignore", UserWarning)
            adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
            wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    except Exception as error:  # PEFT has no exception of its own: KeyError, TypeError, RuntimeError and more
        raise UserError(
            f"{where}: no adapter of this model ({name}): {CONFIG} or the weights don't fit it ({one_line(error)}). "
            f"{_REMEDY}"
        ) from None
    unused, unfilled = sorted(weights.keys() - wanted.keys()), sorted(wanted.keys() - weights.keys())
    if unused or unfilled or not weights:
        raise UserError(
            f"{where}: the adapter's tensors don't fit this model ({name}): "
            f"{_count(unused, len(weights), 'have no place in it')}; "
            f"{_count(unfilled, len(wanted), f'that {CONFIG} asks for are missing')}. {_REMEDY}"
        )
    compute_in_model_precision(adapted)
    return adapted if trainable else adapted.eval()


_REMEDY = "Give an adapter that was trained on this very model and saved whole by PEFT; 'viker unlearn' makes one."


def _count(names: list[str], of: int, problem: str) -> str:
    return f"{len(names)} of {of} {problem}{f', such as {names[0]}' if names else ''}"
