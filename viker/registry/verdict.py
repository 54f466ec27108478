"""Do metrics and verdict belong to this adapter, these data and this policy, or are they left over from others?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import need_file, need_folder, sha256_path
from viker.evidence.seal import check_seal, protocol_of
from viker.gate.doubts import Policy, held_to_policy, short
from viker.gate.rules import look_up


def check_evaluated(
    files: Mapping[str, Path], metrics: Mapping[str, Any], metrics_path: Path, params: str
) -> dict[str, str]:
    """Return the SHA-256 of the files that are about to be registered, if the metrics were measured on them.

    Args:
        files: the folders ``adapter`` and ``model``, and ``data``, the manifest of the prepared data.
        metrics: metrics/evaluate.json, whose ``inputs`` holds the hashes of what was evaluated.
        metrics_path: where the metrics come from, for the error.
        params: the digest of seed and section evaluate of params.yaml as they are now.

    Raises UserError: the metrics were edited, a file is missing, or its hash or the params' digest differs from the
        evaluated one; the message says which.
    """
    need_folder(files["adapter"], "unlearn")
    need_folder(files["model"], "finetune")
    need_folder(files["data"].parent, "prepare")
    need_file(files["data"], "prepare")
    if not check_seal(metrics):
        raise UserError(
            f"{metrics_path} was edited after evaluate wrote it: its digest doesn't match its content. Nothing was "
            "registered. Run 'viker evaluate' and 'viker gate' again, then 'viker register'."
        )
    hashes = {name: sha256_path(path) for name, path in files.items()}
    inputs = metrics.get("inputs")
    evaluated = inputs if isinstance(inputs, dict) else {}
    changed = [
        f"{name} ({files[name]}): evaluated {short(evaluated.get(name))}, found {short(digest)}"
        for name, digest in hashes.items()
        if evaluated.get(name) != digest
    ]
    if evaluated.get("params") != params:
        changed.append(f"params (seed and evaluate): evaluated {short(evaluated.get('params'))}, found {short(params)}")
    if changed:
        raise UserError(
            f"{metrics_path} was not measured on the files that are here: SHA-256 of {'; '.join(changed)}. "
            "Nothing was registered. Run 'viker evaluate' and 'viker gate' again, then 'viker register'."
        )
    return hashes


def check_verdict(
    gate: Mapping[str, Any],
    gate_path: Path,
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    hashes: Mapping[str, str],
    policy: Policy,
) -> None:
    """Make sure that a verdict is about these metrics and files, by this policy, and follows from its rules.

    The arguments are those of ``held_to_policy``, and the verdict's path for the error.

    Raises UserError: it does not; the message says why.
    """
    problems = held_to_policy(gate, metrics, training, hashes, policy)
    if problems:
        raise UserError(
            f"{gate_path} does not belong to these metrics: {'; '.join(problems)}. "
            "Nothing was registered. Run 'viker gate' again, then 'viker register'."
        )


def failures(gate: Mapping[str, Any]) -> list[str]:
    """Return which rules and requirements failed, going by the results themselves rather than the verdict's word."""
    results = [*gate.get("rules", ()), *gate.get("require", ())]
    failed = [str(result.get("reason")) for result in results if result.get("passed") is not True]
    if failed or (results and gate.get("verdict") == "pass"):
        return failed
    return [f"The verdict is '{gate.get('verdict')}'."]


def version_tags(hashes: Mapping[str, str], metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that say what a version was made from, how it was judged and what it was measured at."""
    leakage, retain = (look_up(metrics, f"unlearned.{path}") for path in ("forget.leakage_rate", "retain.rouge_l"))
    return {f"{name}_sha256": digest for name, digest in hashes.items()} | {
        "verdict": str(gate["verdict"]),
        "protocol": str(metrics.get("protocol", "")),
        "protocol_sha256": protocol_of(metrics) or "",
        "policy": str(gate.get("policy") or "own rules"),
        "leakage": "" if leakage is None else f"{leakage:.4f}",
        "retain": "" if retain is None else f"{retain:.4f}",
    }
