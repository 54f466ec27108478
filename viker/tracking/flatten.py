"""Nested parameters and metrics as the flat, dotted names that MLflow shows."""

import json
import math
from collections.abc import Mapping
from typing import Any

LONGEST = 5000
"""The most characters of one parameter or tag in MLflow."""
DETAILS = ("intervals", "counts", "text_only", "differences", "inputs", "schema")
"""Blocks of the metrics that say how certain the others are."""


def text(value: Any) -> str:
    """Return a value as MLflow shows it: strings unchanged, everything else as JSON, shortened to ``LONGEST``."""
    full = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return full if len(full) <= LONGEST else full[: LONGEST - 1] + "…"


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
    """Return nested metrics without ``DETAILS``: those that runs are compared by."""
    return {
        key: main_metrics(value) if isinstance(value, Mapping) else value
        for key, value in metrics.items()
        if key not in DETAILS
    }
