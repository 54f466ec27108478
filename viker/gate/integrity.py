"""Integrity checks: are the metrics unedited, and were they measured on the files that are here?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import sha256_path
from viker.core.manifest import read_manifest
from viker.evidence.seal import MEASURED_ON, check_seal
from viker.gate.judge import Result, requirement

MEASURED = {
    "adapter": ("the metrics were measured on this adapter", "Metrics of another adapter."),
    "model": ("the metrics were measured on this model", "Metrics of another model."),
    "data": ("the metrics were measured on these data", "Metrics of other data."),
    "params": ("the metrics were measured with these params", "Metrics of other settings, or of another seed."),
    "protocol": ("the metrics were measured by this protocol", "Metrics of easier questions, or of shorter replies."),
    "predictions": ("the metrics were measured on these predictions", "Replies exchanged afterwards."),
    "attacks": ("the metrics were measured on these attacks", "Replies exchanged afterwards."),
}


SEALED = "the metrics are as evaluate wrote them"
WHOLE = "the data are those of their manifest"
COMPLETE = "both models were asked every question of the data, once"
COUNTED = "everything that follows from the replies is as counted again"
ATTACKS_COUNTED = "attack numbers are those of the replies under attack, counted again"
EARLIER_COUNTED = "what is said of people of earlier requests is as counted again"
FLOORS_COUNTED = "the floors of private tokens are those of this adapter's unlearning, counted again"
CHECKS = (
    *(SEALED, *(MEASURED[name][0] for name in MEASURED_ON), WHOLE),
    *(COMPLETE, COUNTED, ATTACKS_COUNTED, EARLIER_COUNTED, FLOORS_COUNTED),
)
"""What the gate checks for itself, whatever the policy: ``recount``, and the last one ``training``."""


def check_integrity(metrics: Mapping[str, Any], hashes: Mapping[str, str], prepared: Path) -> list[Result]:
    """Return whether the metrics are as they were written, and were measured on the files that are here.

    ``hashes``: the SHA-256 of each of ``MEASURED_ON`` as it is now. The manifest in ``prepared`` names the data's
    files.
    """
    return [_sealed(metrics), *(_fresh(name, metrics, hashes[name]) for name in MEASURED_ON), _whole(prepared)]


def changed_files(prepared: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return which files that the manifest of prepared data lists are missing, or not as it lists them."""
    hashes = manifest.get("hashes") or {}
    return [
        name
        for name, expected in sorted(hashes.items())
        if not (prepared / name).is_file() or sha256_path(prepared / name) != expected
    ]


def _sealed(metrics: Mapping[str, Any]) -> Result:
    sealed = check_seal(metrics)
    fault = "doesn't match the content: it was edited" if metrics.get("digest") else "is missing"
    reason = f"The digest of the metrics {fault}. Run 'viker evaluate' again."
    reason = "The digest matches the content." if sealed else reason
    return requirement(SEALED, sealed, reason, protects="Metrics edited by hand.")


def _fresh(name: str, metrics: Mapping[str, Any], sha256: str) -> Result:
    inputs = metrics.get("inputs")
    measured = inputs.get(name) if isinstance(inputs, Mapping) else None
    before = f"is {str(measured)[:12]}… in the metrics" if measured else "is not in the metrics"
    reason = f"The SHA-256 of {name} {before}, but {sha256[:12]}… here: run 'viker evaluate' again."
    reason = f"SHA-256 {sha256[:12]}…." if measured == sha256 else reason
    text, protects = MEASURED[name]
    return requirement(text, measured == sha256, reason, protects=protects)


def _whole(prepared: Path) -> Result:
    manifest = read_manifest(prepared)
    hashes, changed = manifest.get("hashes") or {}, changed_files(prepared, manifest)
    whole = bool(hashes) and not changed
    fault = f"{', '.join(changed)}: changed since prepare" if changed else "The manifest lists no files"
    reason = f"{len(hashes)} files have the SHA-256 that it lists." if whole else f"{fault}. Run 'viker prepare' again."
    return requirement(WHOLE, whole, reason, protects="Data changed afterwards.")
