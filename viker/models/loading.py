"""Loading image-text-to-text models: safetensors only, never code from the model's folder."""

import logging
import os
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from viker.core.errors import UserError
from viker.models import fallback
from viker.models.chat_template import ChatTemplate

log = logging.getLogger(__name__)


def seed_everything(seed: int, threads: int) -> None:
    """Make results repeatable: seed every generator, fix the number of CPU threads, use deterministic algorithms."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # each new tensor would be written twice
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # made when torch starts
    transformers_logging.disable_progress_bar()


def device() -> torch.device:
    """Return this process's GPU if there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def computed_by() -> dict[str, str]:
    """Return what decides the last digits besides inputs and code: torch's version, and the GPU or instructions."""
    where, cpu = device(), torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "device": torch.cuda.get_device_name(where) if where.type == "cuda" else cpu}


def load_model(
    name: str, where: str, in_4bit: bool = False, on: torch.device | None = None, revision: str | None = None
) -> tuple[Any, Any]:
    """Load an image-text-to-text model in evaluation mode, and its processor.

    Args:
        name: a folder or the name of a model on a hub.
        where: the parameter or file that names it, for errors.
        in_4bit: whether the linear layers of the language model are loaded in NF4; the rest keeps its precision.
        on: the device of the model; None: ``device()``.
        revision: the commit, for a model on a hub; None: the branch ``main``.

    Raises:
        UserError: there is no such model, it is damaged, not all of its weights are in safetensors files and finite, it
            isn't an image-text-to-text model, it has no chat template for questions about a picture, or ``in_4bit`` is
            set and bitsandbytes is not installed.
    """
    _check_name(name, where)
    options: dict[str, Any] = {}
    if in_4bit:
        options = {"quantization_config": _nf4(name, where), "device_map": {"": device()}}
    with explained(name, where):
        processor = AutoProcessor.from_pretrained(name, revision=revision)
        _check_processor(processor)
        model, found = AutoModelForImageTextToText.from_pretrained(
            name,
            revision=revision,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
        _check_weights(model, found)
    template = ChatTemplate(processor, f"{where}: the model '{name}'")
    if template.source == "tokenizer":
        fallback.record("chat template", "the processor has none", "the chat template of the tokenizer is used")
    processor.tokenizer.padding_side = "left"
    if not in_4bit:
        return model.eval().to(on or device()), processor
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):  # bitsandbytes' kernel repacks the weights, without gradient
            module.support_avx512bf16_for_cpu = False
    return model.eval(), processor


def check_model(name: str, where: str) -> Any:
    """Return an image-text-to-text model without its weights (on the meta device), checked as ``load_model`` does.

    Of the weights, only names and shapes are read.

    Raises UserError: as ``load_model``, but for weights that aren't finite.
    """
    _check_name(name, where)
    with explained(name, where):
        processor = AutoProcessor.from_pretrained(name)
        _check_processor(processor)
        model, found = AutoModelForImageTextToText.from_pretrained(
            name, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True, device_map="meta"
        )
        _check_weights(model, found)
    ChatTemplate(processor, f"{where}: the model '{name}'")
    return model


def _nf4(name: str, where: str) -> BitsAndBytesConfig:
    """Return the settings that quantise the linear layers of the language model, except its head."""
    if find_spec("bitsandbytes") is None:
        raise UserError("unlearn.load_in_4bit needs bitsandbytes: pip install 'viker[quantised]', or set it to false.")
    empty = empty_model(name, where)
    quantised = re.compile(language_layers(empty))
    others = [n for n, m in empty.named_modules() if isinstance(m, nn.Linear) and not quantised.fullmatch(n)]
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=others)


def empty_model(source: Any, where: str) -> Any:
    """Return an image-text-to-text model without weights (on the meta device), from its configuration alone.

    Raises UserError: there is no such model, or it isn't an image-text-to-text model.
    """
    if isinstance(source, str):
        _check_name(source, where)
    with explained(source, where):
        config = AutoConfig.from_pretrained(source) if isinstance(source, str) else source
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config)


@contextmanager
def explained(source: Any, where: str) -> Iterator[None]:
    """Turn what transformers and safetensors raise over a model's files in the block into a UserError.

    What isn't about the files keeps its traceback: no memory, a defect in a library.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except _OF_FILES as error:
        raise UserError(f"{where}: can't load the model '{source}': {_reason(error)}") from None


_OF_FILES = (OSError, ValueError, LookupError, ImportError, RuntimeError, TypeError, AttributeError,
             SafetensorError, StrictDataclassError)  # fmt: skip
"""What transformers, tokenizers and safetensors raise over damaged or foreign files."""


def _check_processor(processor: Any) -> None:
    """Raises ValueError: what stands for the processor lacks the part for pictures or the one for text."""
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_token"):
        raise ValueError(
            f"its processor is a {type(processor).__name__}, without a tokenizer or a token for pictures: "
            "processor_config.json or preprocessor_config.json is missing."
        )


def _check_weights(model: Any, found: Mapping[str, Any]) -> None:
    """Check that every weight of a model came from its files, and is finite; log what the files have besides.

    Raises ValueError: it isn't so.
    """
    fresh = sorted(map(str, {*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}))
    if fresh:
        raise ValueError(
            f"{len(fresh)} of its weights are not in its files, or have another shape there, such as {fresh[0]}."
        )
    if found["unexpected_keys"]:
        names = sorted(map(str, found["unexpected_keys"]))
        log.warning("%d weights in the model's files have no place in it, such as %s", len(names), names[0])
    floats = [(name, value) for name, value in model.named_parameters() if value.is_floating_point()]
    broken = [name for name, value in floats if not value.is_meta and not value.isfinite().all()]
    if broken:
        raise ValueError(f"{len(broken)} of its weights aren't finite (NaN or infinity), such as {broken[0]}.")


def one_line(error: BaseException) -> str:
    """Return the kind of an error and the beginning of its text, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _check_name(name: str, where: str) -> None:
    """Check that ``name``, where it means a folder, exists and holds a model; the error lists what is there instead."""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            entries = ", ".join(sorted(entry.name for entry in path.iterdir())[:12]) or "nothing"
            raise UserError(
                f"{where}: can't load the model '{name}': no config.json in that folder; it holds {entries}. "
                "Expected a folder that save_pretrained wrote, processor included."
            )
    elif path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        parent = path.parent
        folders = sorted(entry.name for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []
        raise UserError(
            f"{where}: can't load the model '{name}': no such folder; in '{parent}' there is "
            f"{', '.join(folders[:12]) or 'no folder'}. Expected a folder that save_pretrained wrote, or a hub name "
            "such as llava-hf/llava-1.5-7b-hf."
        )


def _reason(error: Exception) -> str:
    """Return in one line why transformers could not load a model, and what was expected."""
    text = str(error).strip()
    first = text.split("\n")[0]
    if "Unrecognized configuration class" in text:
        types = ", ".join(sorted(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES))
        return f"it isn't an image-text-to-text model. Types that transformers has of them: {types}."
    if isinstance(error, ImportError):
        return f"{' '.join(text.split())} Install that package too."
    if type(error) not in (OSError, ValueError):
        first = one_line(error)
    return (
        f"{first.rstrip('.')}. Expected a folder that save_pretrained wrote (safetensors, processor included), or the "
        "name of a model on the hub, which this machine must be able to reach."
    )


def language_layers(model: Any) -> str:
    """Return a regular expression for the layers that get LoRA matrices: the language model's linear ones.

    Vision tower, projector and output head stay frozen. The layers are found by structure, whatever a family calls
    its parts.

    Raises UserError: the model's language model is not a part of its own, or has no linear layers.
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
