"""All metrics: those of the project and of installed packages."""

from functools import cache

from viker.core.plugins import load_plugins
from viker.metrics.base.metric import Block, Metric


@cache
def all_metrics() -> tuple[Metric, ...]:
    """Return every metric of the project and of installed packages, in the order of tables.

    Raises UserError: two have the same name, or an installed package's can't be imported.
    """
    return tuple(sorted(load_plugins("viker.metrics", Metric).values(), key=lambda metric: (metric.order, metric.name)))


def metrics_of(block: Block) -> tuple[Metric, ...]:
    """Return the metrics of a block of metrics/evaluate.json, in the order of tables."""
    return tuple(metric for metric in all_metrics() if block in metric.blocks)


def prediction_columns() -> dict[str, bool]:
    """Return the metrics' columns of evaluation/predictions.parquet in order, and whether each is a flag.

    First whether a choice was right, then the other flags, then scores, each in the order of tables.
    """
    written = [metric for metric in all_metrics() if metric.in_predictions and metric.of_reply]
    written.sort(key=lambda metric: (metric.computed_from != "labels", not metric.is_flag))
    return {metric.column: metric.is_flag for metric in written}
