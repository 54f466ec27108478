"""The metrics as a table of Markdown, made from their declarations, for docs/evaluation.md."""

import math

from viker.metrics.base.catalogue import all_metrics
from viker.metrics.base.metric import Metric, direction

WHERE = {
    "split": "each split",
    "fluency": "`fluency`",
    "membership": "`membership`",
    "clear": "`clear`",
    "run": "top level",
}
"""What the table calls each block of metrics/evaluate.json."""


def metrics_table() -> str:
    """Return a table of Markdown with one row per metric."""
    head = ("metric", "where", "what it is", "range", "good on forget, test", "good on retain, real", "source")
    rows = [head, ("---",) * len(head), *map(_row, all_metrics())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _row(metric: Metric) -> tuple[str, ...]:
    good = (direction(side).removesuffix(" is better") or "–" for side in (metric.better.forget, metric.better.retain))
    where = ", ".join(WHERE[block] for block in metric.blocks)
    return (f"`{metric.name}`", where, metric.meaning, _range(metric), *good, metric.source)


def _range(metric: Metric) -> str:
    low, high = metric.range
    return f"{low:g} to {high:g}, {metric.unit}" if math.isfinite(high) else f"from {low:g}, {metric.unit}"
