"""A version, or an adapter, in Hugging Face's format: weights, a card with the evidence, and how to serve it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import new_folder, write_json
from viker.core.redact import without_secrets
from viker.gate.doubts import Policy
from viker.models.base_model import CONFIG, WEIGHTS, adapter_config, need_adapter
from viker.registry.model_card import evidence, shown_base
from viker.registry.promotion import objections
from viker.registry.stored import Coverage, Record
from viker.storage.hub import HUB_NAME

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes for --max-lora-rank."""
COMMIT = 40
"""Characters of a commit's hash on the hub; a folder is identified by a SHA-256, of 64."""


@dataclass(frozen=True)
class Base:
    """The model that an adapter belongs to.

    ``name``: its folder or hub name; ``digest``: what ``base_digest`` returns for it, of a model on a hub the commit;
    None: not known. ``on_hub``: its name on the hub, where it is a local copy of a model there.
    """

    name: str
    digest: str | None = None
    on_hub: str | None = None

    @property
    def hub_name(self) -> str | None:
        """Return its name on the hub; None for a folder that isn't said to be there.

        ``models/vanilla`` looks like a name on the hub, and may be missing here: what identifies it tells.
        """
        of_hub = not Path(self.name).is_dir() if self.digest is None else len(self.digest) == COMMIT
        return self.on_hub or (self.name if of_hub and HUB_NAME.fullmatch(self.name) else None)

    @property
    def commit(self) -> str | None:
        """Return the commit on the hub that the adapter was trained on, if it is known."""
        return self.digest if self.on_hub is None and self.hub_name else None

    @property
    def shown(self) -> str:
        """Return what is published of it."""
        return self.hub_name or shown_base(self.name)


@dataclass(frozen=True)
class Export:
    """What is exported: the name that it is served by, the adapter's folder, and what is known of it.

    ``method``: how it was trained; ``merged``: whether the base model is a part of it; ``forced``: the reason to export
    it in spite of ``objections``.
    """

    name: str
    adapter: Path
    record: Record
    base: Base
    method: str
    merged: bool
    objections: Sequence[str] = ()
    forced: str | None = None


def with_decision(export: Export, policy: Policy, merged: bool, on_hub: str | None, reason: str | None) -> Export:
    """Return the export as it is asked for, if its record allows it.

    Args:
        export: a version or an adapter.
        policy: what its verdict must have been made by.
        merged: whether the base model is to be a part of it.
        on_hub: the base model's name on the hub, if it is a local copy.
        reason: exports it in spite of objections.

    Raises UserError: there are objections, and no reason; or ``on_hub`` is no name on the hub.
    """
    if on_hub is not None and not HUB_NAME.fullmatch(on_hub):
        raise UserError(f"--base-model is '{on_hub}': expected a name on the hub, OWNER/NAME.")
    against = objections(export.record, policy, Coverage(), None)
    if against and reason is None:
        raise UserError(
            f"{export.name} was not exported: {'; '.join(against)}. Nothing was written. --force --reason '…' "
            "overrides this, and is in the card."
        )
    base = replace(export.base, on_hub=on_hub)
    return replace(export, merged=merged, base=base, objections=against, forced=reason if against else None)


def check_free(out: Path) -> None:
    """Raise a ``UserError`` unless ``out`` doesn't exist or is an empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already, and not empty. Remove it, or name another folder with --out.")


def write(export: Export, out: Path, place: str, load: Callable[[], tuple[Any, Any]]) -> list[str]:
    """Write the export to ``out``, whole or not at all, and return the names of its files, sorted.

    Args:
        export: what it is.
        out: a folder that doesn't exist, or is empty.
        place: what the card calls the export in commands: a repository on the hub, or "." for the folder itself.
        load: returns the base model with the adapter on it, and the processor; called only to merge.

    Raises UserError: there is something in ``out``, or no adapter.
    """
    check_free(out)
    need_adapter(export.adapter)
    config = adapter_config(export.adapter)
    with new_folder(out) as folder:
        if export.merged:
            model, processor = load()
            model.merge_and_unload(safe_merge=True).save_pretrained(folder)
            processor.save_pretrained(folder)
        else:
            shutil.copyfile(export.adapter / WEIGHTS, folder / WEIGHTS)
            pinned = {"revision": export.base.commit} if export.base.commit else {}
            write_json(folder / CONFIG, config | {"base_model_name_or_path": export.base.shown} | pinned)
        (folder / "README.md").write_text(readme(export, place), encoding="utf-8")
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def readme(export: Export, place: str) -> str:
    """Return the card: front matter as the hub has it, the evidence, what the export is no protection from, serving.

    It names no person: of what was measured it has counts and rates. ``place``: see ``write``.
    """
    from huggingface_hub import ModelCardData

    record, base, merged = export.record, export.base, export.merged
    relation: dict[str, Any] = {"base_model_relation": "finetune" if merged else "adapter"} if base.hub_name else {}
    about = ModelCardData(
        base_model=base.hub_name,
        library_name="transformers" if merged else "peft",
        pipeline_tag="image-text-to-text",
        tags=["viker", "unlearning", *([] if merged else ["lora"])],
        **relation,
    )
    policy = shown_base(str(record.gate.get("policy") or "own rules"))
    tags = {"verdict": str(record.gate.get("verdict", "none")), "policy": policy}
    people, requests = len(record.manifest.get("forget_ids", ())), len(record.coverage.requests)
    what = "A multimodal model made to forget" if merged else "A LoRA adapter that makes a multimodal model forget"
    limits = (
        f"Base model: `{base.shown}`{f' at `{base.commit}`' if base.commit else ''}, which knows these people still. "
        + (
            "The adapter is merged into these weights; the difference to the base model is the adapter again."
            if merged
            else "They are forgotten only where the adapter is on it."
        )
    )
    parts = [
        f"---\n{about.to_yaml()}\n---",
        f"# {export.name}",
        evidence(what, export.method, tags, record.metrics, people, requests).rstrip(),
        *_forced(export),
        limits,
        "## Serve it",
        "\n".join(["```bash", *serving(export, place), "```"]),
    ]
    return "\n\n".join(parts) + "\n"


def serving(export: Export, place: str) -> list[str]:
    """Return the commands that serve the export, each line a command or a comment.

    ``place``: where it is, a folder or a repository.
    """
    if export.merged:
        return [f"vllm serve {place} --served-model-name {export.name}", f"transformers serve {place}"]
    base, rank = export.base, int(adapter_config(export.adapter)["r"])
    enough = next((one for one in RANKS if one >= rank), rank)
    at = f" --revision {base.commit}" if base.commit else ""
    return [
        f"vllm serve {base.shown}{at} --enable-lora --max-lora-rank {enough} --lora-modules {export.name}={place}",
        "# transformers serve takes whole models: export with --merge",
    ]


def _forced(export: Export) -> list[str]:
    if export.forced is None:
        return []
    policy, reason = str(export.record.gate.get("policy")), " ".join(export.forced.split())
    against = "; ".join(export.objections).replace(policy, shown_base(policy))  # its file is one of this machine
    return [f"> **Exported by force.** Against it: {against}. Reason given: {without_secrets(reason)}"]
