"""``viker seeds``: each metric's mean and spread over runs with different seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from viker.core.console import JsonOption, say_json
from viker.core.errors import UserError
from viker.core.files import read_json, write_json
from viker.evidence.seal import protocol_of

NOT_METRICS = ("inputs", "digest", "schema", "protocol", "engine", "intervals", "counts", "samples", "people")
"""Keys of metrics/evaluate.json that are not metrics."""


def seeds(
    metrics: Annotated[list[Path], typer.Argument(help="One metrics/evaluate.json per seed, two or more.")],
    out: Annotated[Path | None, typer.Option(help="Write all metrics here, as JSON.")] = None,
    match: Annotated[str, typer.Option(help="Show the metrics whose path contains this.")] = "unlearned.forget.",
    as_json: JsonOption = False,
) -> None:
    """Print the mean and the spread of metrics over several seeds.

    The spread is the standard deviation between the runs (n - 1). A metric that any run lacks has neither.
    """
    runs = read(metrics)
    if len(protocols := sorted({str(run.get("protocol")) for run in runs})) > 1 or len(set(map(protocol_of, runs))) > 1:
        asked = ", ".join(protocols)
        typer.echo(
            f"warning: the runs were asked by different protocols ({asked}): a mean over them misleads", err=as_json
        )
    spread = over_seeds(runs)
    if out is not None:
        write_json(out, {"seeds": len(metrics), "files": [str(path) for path in metrics], "metrics": spread})
    if as_json:
        say_json({path: numbers for path, numbers in spread.items() if match in path})
        return
    table = Table(title=f"{len(metrics)} runs: mean ± standard deviation", title_justify="left")
    for name in ("metric", "mean", "±", "lowest", "highest"):
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    for path, numbers in spread.items():
        if match in path:
            table.add_row(path, *(_figure(numbers[key]) for key in ("mean", "deviation", "lowest", "highest")))
    Console(highlight=False).print(table)


def read(paths: Sequence[Path]) -> list[Any]:
    """Read the metrics of several runs. Raises UserError: fewer than two, one that can't be read, or the same twice."""
    runs = [read_json(path, "evaluate") for path in paths]
    if len(runs) < 2:
        raise UserError("one run has no spread: give the metrics/evaluate.json of two seeds or more.")
    digests = [run.get("digest") for run in runs]
    for place, digest in enumerate(digests):
        if digest is not None and digest in digests[:place]:
            first = paths[digests.index(digest)]
            raise UserError(f"{paths[place]}: the same run as {first}; give each run once.")
    return runs


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return by path each metric's ``mean``, ``deviation`` (n - 1), ``lowest`` and ``highest`` over the runs.

    All None if any run lacks the metric: a mean over some of the seeds would mislead.
    """
    flat = [dict(_numbers(run)) for run in runs]
    spread = {}
    for path in dict.fromkeys(path for run in flat for path in run):
        values = [run.get(path) for run in flat]
        present = [value for value in values if value is not None and math.isfinite(value)]
        complete = len(present) == len(runs)
        spread[path] = {
            "mean": statistics.fmean(present) if complete else None,
            "deviation": statistics.stdev(present) if complete else None,
            "lowest": min(present) if complete else None,
            "highest": max(present) if complete else None,
        }
    return spread


def _numbers(value: Any, path: str = "") -> Any:
    """Yield path and value of each metric, including None."""
    for key, item in value.items():
        here = f"{path}.{key}" if path else str(key)
        if key in NOT_METRICS:
            continue
        if isinstance(item, Mapping):
            yield from _numbers(item, here)
        elif item is None or (isinstance(item, int | float) and not isinstance(item, bool)):
            yield here, item


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
