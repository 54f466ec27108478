"""Several runs as one: each metric's mean and spread over the seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from viker.core.errors import UserError
from viker.core.files import read_json, write_json

OTHER = ("inputs", "digest", "schema", "intervals", "counts", "samples", "people")
"""What is no metric in metrics/evaluate.json."""


def seeds(
    metrics: Annotated[list[Path], typer.Argument(help="A metrics/evaluate.json of each seed, two or more.")],
    out: Annotated[Path | None, typer.Option(help="Writes all metrics there, as JSON.")] = None,
    match: Annotated[str, typer.Option(help="Shows the metrics that have this in their path.")] = "unlearned.forget.",
) -> None:
    """Print the mean and the spread of metrics over several seeds.

    The spread is the standard deviation between the runs (n - 1). A metric that a run lacks has none.
    """
    found = over_seeds(read(metrics))
    if out is not None:
        write_json(out, {"seeds": len(metrics), "files": [str(path) for path in metrics], "metrics": found})
    table = Table(title=f"{len(metrics)} runs: mean ± standard deviation", title_justify="left")
    for name in ("metric", "mean", "±", "lowest", "highest"):
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    for path, numbers in found.items():
        if match in path:
            table.add_row(path, *(_figure(numbers[key]) for key in ("mean", "deviation", "lowest", "highest")))
    Console(highlight=False).print(table)


def read(paths: Sequence[Path]) -> list[Any]:
    """Read the metrics of several runs.

    Raises:
        UserError: fewer than two, one that can't be read, or the same twice.
    """
    runs = [read_json(path, "evaluate") for path in paths]
    if len(runs) < 2:
        raise UserError("one run has no spread: name the metrics/evaluate.json of two seeds or more.")
    digests = [run.get("digest") for run in runs]
    for place, digest in enumerate(digests):
        if digest is not None and digest in digests[:place]:
            first = paths[digests.index(digest)]
            raise UserError(f"{paths[place]}: the same run as {first}; name each run once.")
    return runs


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return by path each metric's ``mean``, ``deviation`` (n - 1), ``lowest`` and ``highest`` over the runs.

    All None where a run lacks the metric: a mean of some of the seeds would not tell.
    """
    flat = [dict(_numbers(run)) for run in runs]
    found = {}
    for path in dict.fromkeys(path for run in flat for path in run):
        values = [run.get(path) for run in flat]
        there = [value for value in values if value is not None and math.isfinite(value)]
        whole = len(there) == len(runs)
        found[path] = {
            "mean": statistics.fmean(there) if whole else None,
            "deviation": statistics.stdev(there) if whole else None,
            "lowest": min(there) if whole else None,
            "highest": max(there) if whole else None,
        }
    return found


def _numbers(value: Any, path: str = "") -> Any:
    """Yield path and value of each metric, None included."""
    for key, item in value.items():
        here = f"{path}.{key}" if path else str(key)
        if key in OTHER:
            continue
        if isinstance(item, Mapping):
            yield from _numbers(item, here)
        elif item is None or (isinstance(item, int | float) and not isinstance(item, bool)):
            yield here, item


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
