"""Loading image-text-to-text models: safetensors only, no code from the model's folder."""

import os
import random
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from viker.core.errors import UserError
from viker.models.base_model import DEPLOYED as DEPLOYED
from viker.models.base_model import resolve_model as resolve_model


def seed_everything(seed: int, threads: int) -> None:
    """Seed every generator and fix what else decides a result on the CPU: threads and algorithms."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    transformers_logging.disable_progress_bar()


def device() -> torch.device:
    """Return this process's accelerator if there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def load_model(
    name: str, where: str, in_4bit: bool = False, on: torch.device | None = None, revision: str | None = None
) -> tuple[Any, Any]:
    """Load an image-text-to-text model in evaluation mode, and its processor.

    Args:
        name: a folder or the name of a model on a hub.
        where: the parameter or file that named it, for the error.
        in_4bit: whether the linear layers of the language model are loaded in NF4, the rest as it is.
        on: where the model goes; None: this process's own device.
        revision: the commit, for a model on a hub; None: the branch ``main``.

    Raises:
        UserError: there is no such model, it has no safetensors weights, or it isn't an image-text-to-text model; or
            bitsandbytes is missing, without which there are no 4 bits.
    """
    _check_name(name, where)
    how: dict[str, Any] = {"quantization_config": _nf4(name, where), "device_map": {"": device()}} if in_4bit else {}
    try:
        processor = AutoProcessor.from_pretrained(name, revision=revision)
        model = AutoModelForImageTextToText.from_pretrained(name, revision=revision, use_safetensors=True, **how)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{where}: can't load the model '{name}': {_reason(error)}") from None
    processor.tokenizer.padding_side = "left"
    if not in_4bit:
        return model.eval().to(on or device()), processor
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):  # that kernel packs the weights for good and has no gradient
            module.support_avx512bf16_for_cpu = False
    return model.eval(), processor


def _nf4(name: str, where: str) -> BitsAndBytesConfig:
    """Return the settings that quantise the linear layers of the language model, its head excepted."""
    if find_spec("bitsandbytes") is None:
        raise UserError("unlearn.load_in_4bit needs bitsandbytes: pip install 'viker[quantised]', or set it to false.")
    empty = empty_model(name, where)
    chosen = re.compile(language_layers(empty))
    kept = [n for n, m in empty.named_modules() if isinstance(m, nn.Linear) and not chosen.fullmatch(n)]
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=kept)


def empty_model(named: Any, where: str) -> Any:
    """Return an image-text-to-text model without weights (on the meta device), from its configuration alone.

    Args:
        named: a folder, the name of a model on a hub, or a configuration.
        where: the parameter or file that named it, for the error.

    Raises:
        UserError: there is no such model, or it isn't an image-text-to-text model.
    """
    if isinstance(named, str):
        _check_name(named, where)
    try:
        config = AutoConfig.from_pretrained(named) if isinstance(named, str) else named
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{where}: can't load the model '{named}': {_reason(error)}") from None


def _check_name(name: str, where: str) -> None:
    """Check that a folder, where ``name`` means one, is there and holds a model; the error lists what is."""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            found = ", ".join(sorted(entry.name for entry in path.iterdir())[:12]) or "nothing"
            raise UserError(
                f"{where}: can't load the model '{name}': no config.json in that folder; it holds {found}. "
                "Expected a folder that save_pretrained wrote, processor included."
            )
    elif path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        beside = path.parent
        folders = sorted(entry.name for entry in beside.iterdir() if entry.is_dir()) if beside.is_dir() else []
        raise UserError(
            f"{where}: can't load the model '{name}': no such folder; in '{beside}' there is "
            f"{', '.join(folders[:12]) or 'no folder'}. Expected a folder that save_pretrained wrote, or a hub name "
            "such as llava-hf/llava-1.5-7b-hf."
        )


def _reason(error: Exception) -> str:
    """Return why transformers could not load a model, in a line, and what would do."""
    text = str(error).strip()
    first = text.split("\n")[0]
    if "Unrecognized configuration class" in text:
        types = ", ".join(sorted(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES))
        return f"it is no image-text-to-text model. transformers has these types of them: {types}."
    if isinstance(error, ImportError):
        return f"{' '.join(text.split())} Install that package beside this one."
    return (
        f"{first} Expected a folder that save_pretrained wrote (safetensors, processor included), or the name of a "
        "model on the hub, which this machine must be able to reach."
    )


def language_layers(model: Any) -> str:
    """Return a regular expression for the layers that get LoRA matrices: the linear ones of the language model.

    Vision tower, projector and output head stay frozen. Found by structure, whatever a family calls its parts.

    Raises:
        UserError: the model has no language model of its own, or one without linear layers.
    """
    language = model.get_decoder()
    head = model.get_output_embeddings()
    path = next((name for name, module in model.named_modules() if module is language), "")
    linear = (name for name, module in language.named_modules() if isinstance(module, nn.Linear) and module is not head)
    names = sorted({name.rpartition(".")[2] for name in linear})
    if not path or not names:
        parts = ", ".join(f"{name} ({type(part).__name__})" for name, part in model.base_model.named_children())
        raise UserError(
            f"{type(model).__name__}: no linear layers of a language model to put LoRA on. It is made of {parts}. "
            "Bring a model whose language model is a part of its own, such as a LLaVA."
        )
    return rf"{re.escape(path)}\..*\b({'|'.join(names)})"
