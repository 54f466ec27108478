"""The LoRA adapter: fresh or from earlier requests, and saved."""

from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model

from viker.core.errors import UserError
from viker.core.files import new_folder
from viker.methods.base.method import method_of
from viker.models.adapter import load_adapter
from viker.models.base_model import adapter_config, need_adapter
from viker.models.hidden_states import decoder_layers
from viker.models.loading import empty_model, language_layers
from viker.models.lora_precision import compute_in_model_precision
from viker.training.settings import UnlearnParams

WHERE = "unlearn.start_from"


def put_adapter(params: UnlearnParams, model: Any) -> Any:
    """Return ``model`` with a fresh LoRA adapter, or with that of earlier requests, to train further.

    The adapter that comes out then holds all requests. The frozen model is in both cases the one without an adapter.
    """
    if params.start_from is not None:
        return load_adapter(model, Path(params.start_from), WHERE, trainable=True)
    lora = LoraConfig(r=params.lora_r, lora_alpha=params.lora_alpha, target_modules=language_layers(model))
    return compute_in_model_precision(get_peft_model(model, lora))


def freeze_above(params: UnlearnParams, adapted: Any) -> None:
    """Freeze the adapter in the layers above ``hidden_layer``, if the method takes hidden states: no loss trains them.

    Raises UserError: there is no such layer.
    """
    if "hidden" in method_of(params.method).needs:
        layers = decoder_layers(adapted)
        layer = params.method.hidden_layer(len(layers))
        for above in layers[layer + 1 :] if layer is not None else ():
            above.requires_grad_(False)


def check_start(params: UnlearnParams, model: str | None = None) -> None:
    """Check the adapter that ``unlearn.start_from`` names, before anything large is loaded.

    ``model``: folder or hub name of the model that it goes on; None: not checked whether it fits.

    Raises UserError: it is not there or damaged, its sizes are not those in ``params``, or it doesn't fit the model.
    """
    if params.start_from is None:
        return
    folder = Path(params.start_from)
    need_adapter(folder, WHERE)
    config = adapter_config(folder, WHERE)
    for key, size in (("lora_r", config.get("r")), ("lora_alpha", config.get("lora_alpha"))):
        if size != getattr(params, key):
            raise UserError(
                f"unlearn.{key} is {getattr(params, key)}, but the adapter in unlearn.start_from '{folder}' has "
                f"{size}. Set unlearn.{key} to {size}."
            )
    if model is not None:
        load_adapter(empty_model(model, WHERE), folder, WHERE)


def save_adapter(adapted: Any, folder: Path) -> None:
    """Write the adapter as a folder of PEFT's."""
    with new_folder(folder) as temporary:
        adapted.save_pretrained(temporary, safe_serialization=True)
        (temporary / "README.md").unlink(missing_ok=True)
