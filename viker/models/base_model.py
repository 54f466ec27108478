"""Base models: where the vanilla model is, what identifies it, and which adapters belong to it."""

import json
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import read_json, sha256_path

DEPLOYED = "deployed.json"
"""In the vanilla folder: the name of the deployed model that stands in for the one finetune would train."""
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""In an adapter's folder, as PEFT writes it."""


def resolve_model(folder: Path) -> str:
    """Return what to load for the vanilla model in ``folder``: itself, or the deployed model it points to.

    Raises UserError: the folder is missing, or holds neither a model nor a pointer to one.
    """
    pointer = folder / DEPLOYED
    if pointer.is_file():
        content = read_json(pointer, "finetune")
        if not isinstance(content, dict) or not isinstance(content.get("model"), str):
            raise UserError(f"{pointer}: expected the name of a model under 'model'. Run 'viker finetune' again.")
        return str(content["model"])
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no model here. The stage 'finetune' makes it: run 'viker finetune' first.")
    return str(folder)


def named(folder: Path, parameter: str | None) -> str:
    """Return what an error about an adapter's folder begins with; ``parameter`` is the setting that names it."""
    return f"{parameter} is '{folder}'" if parameter else str(folder)


def need_adapter(folder: Path, parameter: str | None = None) -> None:
    """Check that a folder holds the two files of an adapter; ``parameter`` is the setting that names it, if any.

    Raises UserError: one of them is missing.
    """
    missing = [name for name in (WEIGHTS, CONFIG) if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{named(folder, parameter)}: no adapter here: no {' and no '.join(missing)}. Expected both, as PEFT "
            "writes them. The stage 'unlearn' makes an adapter: run 'viker unlearn' first."
        )


def adapter_config(folder: Path, parameter: str | None = None) -> dict[str, Any]:
    """Return an adapter's configuration, as JSON has it. Raises UserError: it can't be read or is no JSON object."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        problem = f"a JSON object, found {str(config)[:40]!r}"
    except (OSError, ValueError, RecursionError) as error:
        config, problem = None, f"JSON ({' '.join(str(error).split())[:200]})"
    if not isinstance(config, dict):
        raise UserError(
            f"{named(folder, parameter)}: {CONFIG} there is damaged: expected {problem}. Give a folder that PEFT saved "
            "whole; 'viker unlearn' makes one."
        )
    return config


def check_adapter_base(adapter: Path, vanilla: Path) -> None:
    """Check that the adapter was trained on the model in ``vanilla``.

    An adapter's configuration names its base by folder or hub name. A folder that exists must hold the same files;
    where it is gone (the adapter came from another machine), or the name is the same, the adapter is accepted.

    Raises UserError: there is no adapter, or it belongs to another model.
    """
    need_adapter(adapter)
    config = adapter_config(adapter)
    named, vanilla_model = config.get("base_model_name_or_path"), resolve_model(vanilla)
    if not named or named == vanilla_model:
        return
    base = Path(named)
    named_on_hub, vanilla_is_folder = not base.exists() and named.count("/") == 1, Path(vanilla_model).is_dir()
    if base.is_dir() and vanilla_is_folder:
        differs = sha256_path(base) != sha256_path(Path(vanilla_model))
    else:
        differs = named_on_hub and not vanilla_is_folder
    if differs:
        raise UserError(
            f"{adapter}: this adapter was trained on '{named}', not on the vanilla model '{vanilla_model}'; an adapter "
            "of the method retrain, for one, starts from unlearn.method.base_model. Evaluate it against its own base: "
            "viker evaluate --vanilla BASE --adapter ADAPTER --metrics FILE. To compare with it, name it in "
            "evaluate.retrained."
        )


def base_digest(name: str, where: str) -> str:
    """Return what identifies a base model: the SHA-256 of its folder, or the commit of a model on the hub.

    The commit is that of the copy in the hub's cache, which is what would be loaded; without one, the hub is asked.

    Raises UserError: there is no such folder, and neither cache nor hub has a model of that name.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return sha256_path(folder)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise UserError(f"{where}: the base model '{name}' does not exist: no such folder.")
    from huggingface_hub import HfApi, try_to_load_from_cache

    cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return Path(cached).parent.name
    try:
        return str(HfApi().model_info(name).sha)
    except Exception as error:  # errors of the hub, of requests and of the address itself: the model can't be reached
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{where}: the base model '{name}' is neither a folder nor in the hub's cache, and the hub has no such "
            f"model for this machine ({reason}). Set HF_HOME to the cache that holds it, or name a folder."
        ) from None
