"""Lineage of a version: the hashes of what it was made from, checked before anything is registered."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import need_folder, sha256_path
from viker.gate.rules import look_up
from viker.registry.verdict import short


def check_evaluated(files: Mapping[str, Path], metrics: Mapping[str, Any], metrics_path: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that are about to be registered, if the metrics were measured on them.

    Args:
        files: the folders ``adapter`` and ``model``, and ``data``, the manifest of the prepared data.
        metrics: metrics/evaluate.json, whose ``inputs`` holds the hashes of what was evaluated.
        metrics_path: where the metrics come from, for the error.

    Raises:
        UserError: a file is missing, or its hash differs from the evaluated one; the message says which.
    """
    need_folder(files["adapter"], "unlearn")
    need_folder(files["model"], "finetune")
    need_folder(files["data"].parent, "prepare")
    if not files["data"].is_file():
        raise UserError(f"{files['data']}: no such file. The stage 'prepare' writes it: run 'viker prepare' first.")
    hashes = {name: sha256_path(path) for name, path in files.items()}
    inputs = metrics.get("inputs")
    evaluated = inputs if isinstance(inputs, dict) else {}
    changed = [name for name in files if evaluated.get(name) != hashes[name]]
    if changed:
        which = "; ".join(
            f"{name} ({files[name]}): evaluated {short(evaluated.get(name))}, found {short(hashes[name])}"
            for name in changed
        )
        raise UserError(
            f"{metrics_path} was not measured on the files that are here: SHA-256 of {which}. "
            "Nothing was registered. Run 'viker evaluate' and 'viker gate' again, then 'viker register'."
        )
    return hashes


def version_tags(hashes: Mapping[str, str], metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that say what a version was made from, how it was judged and what it was measured at."""
    return {f"{name}_sha256": digest for name, digest in hashes.items()} | {
        "verdict": str(gate["verdict"]),
        "policy": str(gate.get("policy") or "own rules"),
        "leakage": _number(metrics, "unlearned.forget.leakage_rate"),
        "retain": _number(metrics, "unlearned.retain.rouge_l"),
    }


def _number(metrics: Mapping[str, Any], path: str) -> str:
    value = look_up(metrics, path)
    return "" if value is None else f"{value:.4f}"
