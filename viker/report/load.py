"""The inputs of the report, read from what the other stages wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from viker.core.errors import UserError
from viker.core.files import not_written, read_json
from viker.data.records import SPLITS, Record, read_columns, read_pictures, read_records
from viker.data.requests import ForgetRequest, read_requests
from viker.report import answers, tokens


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
    manifest: dict[str, Any]
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
    registered: dict[str, Any] | None
    earlier: list[dict[str, Any]]


def load(paths: Paths, earlier: Sequence[Path]) -> Inputs:
    """Read everything; the registration and the requests may be missing.

    Raises UserError: an input is missing or broken.
    """
    metrics = read_json(paths.metrics, "evaluate")
    manifest_path = paths.prepared / "manifest.json"
    manifest = read_json(manifest_path, "prepare")
    path = paths.unlearning / "key_tokens.parquet"
    key_tokens = read_columns(path, tokens.COLUMNS, "unlearn", tokens.OPTIONAL)
    return Inputs(
        key=manifest_path.read_bytes(),
        manifest=manifest,
        requests=list(read_requests(paths.requests).values()),
        records={(split, r.id): r for split in SPLITS for r in read_records(paths.prepared, split)},
        pictures=read_pictures(paths.prepared),
        summary=read_json(paths.unlearning / "summary.json", "unlearn"),
        losses=read_csv(paths.unlearning / "loss.csv", ("step", "loss"), "unlearn"),
        entropy=read_csv(paths.unlearning / "entropy.csv", ("entropy", "tokens"), "unlearn"),
        key_tokens=[dict.fromkeys(tokens.OPTIONAL) | row for row in key_tokens.to_pylist()],
        replies=read_columns(paths.predictions, answers.COLUMNS, "evaluate").to_pylist(),
        metrics=metrics,
        gate=read_json(paths.gate, "gate"),
        registered=read_json(paths.register, "register") if paths.register.exists() else None,
        earlier=[read_json(path, "evaluate") for path in earlier],
    )


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
