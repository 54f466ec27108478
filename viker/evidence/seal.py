"""What makes metrics evidence: a seal that reveals edits, and the hashes of what they were measured on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import need_file, need_folder, sha256_json, sha256_path

SCHEMA = 3
"""The version of the shape of metrics/evaluate.json."""
MEASURED_ON = ("adapter", "model", "data", "params", "protocol", "predictions", "attacks")
"""What the metrics refer to by hash."""


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``content`` with its ``digest``: the SHA-256 of the canonical JSON of everything else.

    It reveals an edit by whoever doesn't update it; it is not a signature.
    """
    rest = {key: value for key, value in content.items() if key != "digest"}
    return rest | {"digest": sha256_json(rest)}


def check_seal(content: Mapping[str, Any]) -> bool:
    """Return whether ``content`` is unchanged since it was sealed; without a digest it counts as changed."""
    return content.get("digest") == seal(content)["digest"]


def params_digest(seed: int, evaluate: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what decides how a model is questioned.

    Args:
        seed: of params.yaml.
        evaluate: its section evaluate, as ``EvaluateParams.model_dump(mode="json", by_alias=True)`` gives it.
    """
    return sha256_json({"seed": seed, "evaluate": dict(evaluate)})


def protocol_of(metrics: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 of the protocol that the metrics were measured by; None where they don't say."""
    inputs = metrics.get("inputs")
    return inputs.get("protocol") if isinstance(inputs, Mapping) else None


def hash_inputs(adapter: Path, vanilla: Path, prepared: Path, predictions: Path, attacks: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that metrics are measured on, all of ``MEASURED_ON`` but params and protocol.

    Raises UserError: one of them is missing; the message names the stage that makes it.
    """
    return {
        "adapter": sha256_path(need_folder(adapter, "unlearn")),
        "model": sha256_path(need_folder(vanilla, "finetune")),
        "data": sha256_path(need_file(need_folder(prepared, "prepare") / "manifest.json", "prepare")),
        "predictions": sha256_path(need_file(predictions, "evaluate")),
        "attacks": sha256_path(need_file(attacks, "evaluate")),
    }
