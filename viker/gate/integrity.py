"""Integrity checks: are the metrics unedited, and were they measured on the files that are here?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import read_json, sha256_path
from viker.evidence.seal import MEASURED_ON, check_seal
from viker.gate.judge import Result, requirement

_MEASURED = {
    "adapter": ("the metrics were measured on this adapter", "Metrics of another adapter."),
    "model": ("the metrics were measured on this model", "Metrics of another model."),
    "data": ("the metrics were measured on these data", "Metrics of other data."),
    "params": ("the metrics were measured with these params", "Metrics of other settings, or of another seed."),
    "predictions": ("the metrics were measured on these predictions", "Replies exchanged afterwards."),
    "attacks": ("the metrics were measured on these attacks", "Replies exchanged afterwards."),
}


def check_integrity(metrics: Mapping[str, Any], hashes: Mapping[str, str], prepared: Path) -> list[Result]:
    """Return whether the metrics are as they were written, and were measured on the files that are here.

    Args:
        metrics: metrics/evaluate.json.
        hashes: the SHA-256 of each of ``MEASURED_ON``, as it is now.
        prepared: the prepared data, whose files must be those that its manifest names.
    """
    return [_sealed(metrics), *(_fresh(name, metrics, hashes[name]) for name in MEASURED_ON), _whole(prepared)]


def _sealed(metrics: Mapping[str, Any]) -> Result:
    text = "the metrics are as evaluate wrote them"
    if check_seal(metrics):
        return _result(text, True, "The digest matches the content.", "Metrics edited by hand.")
    fault = "doesn't match the content: it was edited" if metrics.get("digest") else "is missing"
    return _result(
        text, False, f"The digest of the metrics {fault}. Run 'viker evaluate' again.", "Metrics edited by hand."
    )


def _fresh(name: str, metrics: Mapping[str, Any], sha256: str) -> Result:
    inputs = metrics.get("inputs")
    measured = inputs.get(name) if isinstance(inputs, Mapping) else None
    text, protects = _MEASURED[name]
    if measured == sha256:
        return _result(text, True, f"SHA-256 {sha256[:12]}….", protects)
    before = f"is {str(measured)[:12]}… in the metrics" if measured else "is not in the metrics"
    reason = f"The SHA-256 of {name} {before}, but {sha256[:12]}… here: run 'viker evaluate' again."
    return _result(text, False, reason, protects)


def _whole(prepared: Path) -> Result:
    text = "the data are those of their manifest"
    hashes = read_json(prepared / "manifest.json", "prepare").get("hashes") or {}
    changed = [
        name
        for name, expected in sorted(hashes.items())
        if not (prepared / name).is_file() or sha256_path(prepared / name) != expected
    ]
    if hashes and not changed:
        return _result(text, True, f"{len(hashes)} files have the SHA-256 that it lists.", "Data changed afterwards.")
    reason = f"{', '.join(changed)}: changed since prepare" if changed else "The manifest lists no files"
    return _result(text, False, f"{reason}. Run 'viker prepare' again.", "Data changed afterwards.")


def _result(text: str, passed: bool, reason: str, protects: str) -> Result:
    return requirement(text, passed, reason) | {"protects": protects}
