"""Nested parameters and metrics as the flat, dotted names that MLflow keeps; the loss curve as steps."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import need_folder

LONGEST = 5000
"""The most characters of one parameter or tag in MLflow."""


DETAILS = ("intervals", "counts", "text_only", "differences", "inputs", "schema")


def text(value: Any) -> str:
    """Return a value as MLflow shows it: texts as they are, all else as JSON, shortened where it is too long."""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted path, in reading order; lists are leaves."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        flat |= flatten(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return flat


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of nested metrics by dotted path; MLflow has no null, so nulls are left out."""
    return {
        path: float(value)
        for path, value in flatten(metrics).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def main_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested metrics without the blocks that say how sure they are: what one compares runs by."""
    return {
        key: main_metrics(value) if isinstance(value, Mapping) else value
        for key, value in metrics.items()
        if key not in DETAILS
    }


def read_curve(unlearning: Path) -> list[tuple[str, float, int]]:
    """Return (name, value, step) of every number in ``loss.csv``; empty cells are left out.

    Raises:
        UserError: the file is missing, has no column 'step', or a cell that is not a number.
    """
    path = need_folder(unlearning, "unlearn") / "loss.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if "step" not in (reader.fieldnames or ()):
                raise UserError(
                    f"{path}: no column 'step', found {reader.fieldnames}. Run 'viker unlearn' again to write it anew."
                )
            return list(_points(path, reader))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. The stage 'unlearn' writes it: run 'viker unlearn' first.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not CSV ({error}). Run 'viker unlearn' again to write it anew.") from None


def _points(path: Path, reader: "csv.DictReader[str]") -> Iterator[tuple[str, float, int]]:
    for row in reader:
        step = int(_number(path, reader.line_num, "step", row["step"]))
        for name in (column for column in row if column not in ("step", "epoch")):
            if row[name]:
                yield f"train.{name}", _number(path, reader.line_num, name, row[name]), step


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise UserError(
            f"{path}, line {line}, column '{column}': {text!r} is not a number. "
            "Run 'viker unlearn' again to write the file anew."
        ) from None
