"""Nested mappings, such as parameters and metrics, by dotted path."""

import math
from collections.abc import Mapping
from typing import Any

DETAILS = ("intervals", "counts", "text_only", "differences", "inputs", "schema")
"""Blocks of the metrics that say how certain the others are."""


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted path, in reading order; lists are leaves."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        flat |= flatten(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return flat


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of nested metrics by dotted path, without nulls and truth values."""
    leaves = ((path, value) for path, value in flatten(metrics).items() if isinstance(value, int | float))
    return {path: float(value) for path, value in leaves if not isinstance(value, bool) and math.isfinite(value)}


def main_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested metrics without ``DETAILS``: those that runs are compared by."""
    main = {key: value for key, value in metrics.items() if key not in DETAILS}
    return {key: main_metrics(value) if isinstance(value, Mapping) else value for key, value in main.items()}
