"""The inputs of the report, read from what the other stages wrote."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from viker.core.errors import UserError
from viker.core.files import not_written, read_json, sha256_path
from viker.core.manifest import MANIFEST, Manifest, read_manifest
from viker.data.records import SPLITS, Record, read_columns, read_pictures, read_records
from viker.data.requests import ForgetRequest, read_requests
from viker.evidence.registration import Registration, read_registration
from viker.evidence.seal import check_seal, protocol_of
from viker.evidence.training_summary import NAME, read_summary
from viker.gate.doubts import Policy, doubts, short
from viker.gate.integrity import changed_files
from viker.report import answers, tokens

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Paths:
    """Paths of the other stages' outputs."""

    params: Path
    prepared: Path
    requests: Path
    unlearning: Path
    predictions: Path
    metrics: Path
    gate: Path
    register: Path


@dataclass(frozen=True)
class Inputs:
    """Contents of the other stages' outputs."""

    key: bytes
    """The manifest's bytes: the key of the pseudonyms."""
    manifest: Manifest
    requests: list[ForgetRequest]
    records: dict[tuple[str, str], Record]
    """By split and id."""
    pictures: dict[str, bytes]
    summary: dict[str, Any]
    losses: dict[str, list[float]]
    entropy: dict[str, list[float]]
    key_tokens: list[dict[str, Any]]
    replies: list[dict[str, Any]]
    metrics: dict[str, Any]
    gate: dict[str, Any]
    registered: Registration | None
    earlier: list[dict[str, Any]]


def load(paths: Paths, earlier: Sequence[Path]) -> Inputs:
    """Read everything; the registration and the requests may be missing.

    Raises UserError: an input is missing or broken.
    """
    metrics = read_json(paths.metrics, "evaluate")
    manifest = read_manifest(paths.prepared)
    path = paths.unlearning / "key_tokens.parquet"
    key_tokens = read_columns(path, tokens.COLUMNS, "unlearn", tokens.OPTIONAL)
    return Inputs(
        key=(paths.prepared / MANIFEST).read_bytes(),
        manifest=manifest,
        requests=list(read_requests(paths.requests).values()),
        records={(split, r.id): r for split in SPLITS for r in read_records(paths.prepared, split)},
        pictures=read_pictures(paths.prepared),
        summary=read_json(paths.unlearning / NAME, "unlearn"),
        losses=read_csv(paths.unlearning / "loss.csv", ("step", "loss"), "unlearn"),
        entropy=read_csv(paths.unlearning / "entropy.csv", ("entropy", "tokens"), "unlearn"),
        key_tokens=[dict.fromkeys(tokens.OPTIONAL) | row for row in key_tokens.to_pylist()],
        replies=read_columns(paths.predictions, answers.COLUMNS, "evaluate").to_pylist(),
        metrics=metrics,
        gate=read_json(paths.gate, "gate"),
        registered=read_registration(paths.register) if paths.register.exists() else None,
        earlier=[_earlier(path, metrics) for path in earlier],
    )


def check_evidence(paths: Paths, inputs: Inputs, params: str, policy: Policy) -> None:
    """Check that the verdict is about the metrics, the data and the replies that the report shows.

    ``params``: the digest of seed and section evaluate of params.yaml as they are now; ``policy``: its section gate.

    Raises UserError: it isn't, something was edited, or the registration or the training's summary is that of another
    adapter.
    """
    hashes = {"data": sha256_path(paths.prepared / MANIFEST), "predictions": sha256_path(paths.predictions)}
    hashes["params"] = params
    problems = doubts(inputs.gate, inputs.metrics, inputs.summary, hashes, policy)
    measured = inputs.metrics.get("inputs")
    measured = measured if isinstance(measured, dict) else {}
    problems += [
        f"{name}: measured on {short(measured.get(name))}, found {short(digest)}"
        for name, digest in hashes.items()
        if measured.get(name) != digest
    ]
    if not problems and (changed := changed_files(paths.prepared, inputs.manifest)):
        problems = [f"{', '.join(changed)} of {paths.prepared} changed since prepare"]
    registered: Registration = inputs.registered or {}
    if "adapter" in registered and registered["adapter"] != measured.get("adapter"):
        problems.append(f"{paths.register} is about another adapter: run 'viker register' again")
    if problems:
        raise UserError(
            f"{paths.gate} and {paths.metrics} are no evidence for what is here: {'; '.join(problems)}. No report was "
            "written. Run 'viker evaluate' and 'viker gate' again, then 'viker report'."
        )
    read_summary(paths.unlearning, str(measured.get("adapter")))


def _earlier(path: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return an earlier run's metrics; warns where another protocol makes them no comparison."""
    measured = read_json(path, "evaluate")
    if not check_seal(measured):
        raise UserError(
            f"{path}: these metrics were edited after evaluate wrote them: their digest doesn't match their content. "
            "No report was written. Leave out --earlier, or give metrics as they were measured."
        )
    if protocol_of(measured) != protocol_of(metrics):
        log.warning(
            "%s was measured by protocol %s, this run by %s: the plot sets it apart, its numbers are not comparable",
            path,
            measured.get("protocol", "unknown"),
            metrics.get("protocol", "unknown"),
        )
    return measured


def read_csv(path: Path, columns: tuple[str, ...], made_by: str) -> dict[str, list[float]]:
    """Return all columns of a CSV file as numbers, NaN for an empty cell.

    Raises UserError: the file is missing, lacks one of ``columns``, or has something other than numbers.
    """
    try:
        table = pd.read_csv(path)
        if lacking := [name for name in columns if name not in table]:
            raise UserError(f"{path}: no column {', '.join(lacking)}. Run 'viker {made_by}' again.")
        return {name: [float(value) for value in table[name]] for name in table.columns}
    except FileNotFoundError:
        raise not_written(path, made_by) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: not a table of numbers ({error}). Run 'viker {made_by}' again.") from None
