"""Which base model an adapter belongs to: its name, and the hash that tells it from any other."""

import json
from pathlib import Path

from viker.core.errors import UserError
from viker.core.files import sha256_path

DEPLOYED = "deployed.json"
"""In the vanilla folder: the name of the deployed model that stands in for the one finetune would train."""


def resolve_model(folder: Path) -> str:
    """Return what to load for the vanilla model in ``folder``: itself, or the deployed model it points to.

    Raises:
        UserError: the folder is missing, or holds neither a model nor a pointer to one.
    """
    pointer = folder / DEPLOYED
    if pointer.is_file():
        return str(json.loads(pointer.read_text(encoding="utf-8"))["model"])
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no model here. The stage 'finetune' makes it: run 'viker finetune' first.")
    return str(folder)


def base_digest(name: str, where: str) -> str:
    """Return what identifies a base model: the SHA-256 of its folder, or the commit of a model on the hub.

    The commit is that of the copy in the hub's cache, which is what would be loaded; without one, the hub is asked.

    Raises:
        UserError: there is no such folder, and neither cache nor hub has a model of that name.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return sha256_path(folder)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise UserError(f"{where}: the base model '{name}' is not there: no such folder.")
    from huggingface_hub import HfApi, try_to_load_from_cache

    cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return Path(cached).parent.name
    try:
        return str(HfApi().model_info(name).sha)
    except Exception as error:  # errors of the hub, of requests and of the address itself: the model can't be reached
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{where}: the base model '{name}' is neither a folder nor in the hub's cache, and the hub doesn't have it "
            f"for this machine ({reason}). Set HF_HOME to the cache that holds it, or name a folder."
        ) from None
