"""The LoRA adapter: fresh or from earlier requests, and saved."""

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model

from viker.core.errors import UserError
from viker.core.files import new_folder
from viker.methods.base.method import method_of
from viker.models.hidden_states import decoder_layers
from viker.models.loading import language_layers
from viker.training.settings import UnlearnParams


def put_adapter(params: UnlearnParams, model: Any) -> Any:
    """Return ``model`` with a fresh LoRA adapter, or with that of earlier requests, to train further.

    The adapter that comes out then holds all requests. The frozen model is in both cases the one without an adapter.
    """
    if params.start_from is not None:
        return PeftModel.from_pretrained(model, params.start_from, is_trainable=True)
    lora = LoraConfig(r=params.lora_r, lora_alpha=params.lora_alpha, target_modules=language_layers(model))
    return get_peft_model(model, lora)


def freeze_above(params: UnlearnParams, adapted: Any) -> None:
    """Freeze the adapter in the layers above ``hidden_layer``, if the method takes hidden states: no loss trains them.

    Raises UserError: there is no such layer.
    """
    if "hidden" in method_of(params.method).needs:
        layers = decoder_layers(adapted)
        layer = params.method.hidden_layer(len(layers))
        for above in layers[layer + 1 :] if layer is not None else ():
            above.requires_grad_(False)


def check_start(params: UnlearnParams) -> None:
    """Check the adapter that ``unlearn.start_from`` names.

    Raises UserError: it is not there, or its sizes are not those in ``params``.
    """
    if params.start_from is None:
        return
    folder = Path(params.start_from)
    if not (folder / "adapter_model.safetensors").is_file():
        raise UserError(
            f"unlearn.start_from is '{folder}': no adapter_model.safetensors there. Give the folder of the adapter "
            "that carries the earlier requests, or null to start from the vanilla model."
        )
    config = PeftConfig.from_pretrained(folder)
    for key, size in (("lora_r", config.r), ("lora_alpha", config.lora_alpha)):
        if size != getattr(params, key):
            raise UserError(
                f"unlearn.{key} is {getattr(params, key)}, but the adapter in unlearn.start_from '{folder}' has "
                f"{size}. Set unlearn.{key} to {size}."
            )


def save_adapter(adapted: Any, folder: Path) -> None:
    """Write the adapter as a folder of PEFT's."""
    with new_folder(folder) as temporary:
        adapted.save_pretrained(temporary, safe_serialization=True)
        (temporary / "README.md").unlink(missing_ok=True)
