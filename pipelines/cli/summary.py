"""``viker summary``: the answer of a run on one screen, or every figure and rule, and where to look next."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.contract.params import load_params
from pipelines.cli import closing
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.files import read_json
from viker.core.mlflow_store import DEFAULT_URI
from viker.core.redact import without_secrets
from viker.data.records import SPLITS
from viker.metrics.base.metric import Block, Metric, common_direction
from viker.report import formatting, tables


def summary(
    params: ParamsOption = Path("params.yaml"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    gate: Annotated[Path, typer.Option(help="The gate's verdict.")] = Path("metrics/gate.json"),
    report: Annotated[Path, typer.Option(help="The evidence report.")] = Path("report/report.html"),
    prepared: Annotated[Path, typer.Option(help="The prepared data.")] = Path("data/prepared"),
    everything: Annotated[bool, typer.Option("--all", help="Every metric of the splits, and every rule.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the verdict, who is still given away, what is kept, the attacks, and what to do next.

    Reads what *evaluate* and *gate* wrote; runs nothing.
    """
    experiment = load_params(params).register_.experiment
    console = Console(highlight=False)
    figures, verdict = read_json(metrics, "evaluate"), read_json(gate, "gate")
    if as_json:
        say_json(closing.facts(figures, verdict))
        return
    console.print(table(figures, verdict) if everything else Group(closing.screen(figures, verdict), ""))
    for what, reason in tables.fallbacks(figures):
        console.print(f"evaluated without the {what}: {reason}", markup=False)
    # Not wrapped: paths and commands should be easy to copy.
    state = "" if report.exists() else " (not written yet)"
    console.print(f"report:    {report}{state}", soft_wrap=True, markup=False)
    console.print(f"runs:      MLflow experiment '{experiment}':\n  {ui_command()}", soft_wrap=True, markup=False)
    rules, required = (len(verdict.get(key) or []) for key in ("rules", "require"))
    console.print(f"judged by: {rules} rules on metrics and {required} on the evidence; each: viker summary --all")
    steps = "\n".join(f"  {step}" for step in closing.next_steps(prepared))
    console.print(f"next (after 'source .venv/bin/activate'):\n{steps}", soft_wrap=True, markup=False)


def table(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> RenderableType:
    """Return the tables of metrics, fluency and rules, and the verdict, for a console of 80 columns or more.

    Args:
        metrics: metrics/evaluate.json; what it lacks is shown as an en dash.
        gate: metrics/gate.json.
    """
    passed, sentence = tables.verdict(gate)
    verdict = Text(f"{'✓' if passed else '✗'} {sentence}", style=f"bold {_colour(passed)}")
    return Group(_splits(metrics), _fluency(metrics), _rules(gate), verdict, "")


def ui_command() -> str:
    """Return how to open the runs: the command that starts MLflow on a database, or the server's address."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if uri.startswith(("http:", "https:")):
        return f"open {without_secrets(uri)}"
    address = uri if uri == without_secrets(uri) else '"$MLFLOW_TRACKING_URI"'
    return f".venv/bin/mlflow ui --backend-store-uri {address}"


def _splits(metrics: Mapping[str, Any]) -> Table:
    grid, columns = _grid("With the picture", ("", "model"), "split")
    for split in SPLITS:
        for model in tables.MODELS:
            cells = [formatting.cell(metrics, f"{model}.{split}.{metric.name}") for metric in columns]
            grid.add_row(split if model == tables.MODELS[0] else "", model, *cells)
        grid.add_section()
    return grid


def _fluency(metrics: Mapping[str, Any]) -> Table:
    grid, columns = _grid("Fluency", ("model",), "fluency")
    for model in tables.MODELS:
        grid.add_row(model, *(formatting.cell(metrics, f"{model}.fluency.{metric.name}") for metric in columns))
    return grid


def _grid(title: str, labels: Sequence[str], block: Block) -> tuple[Table, Sequence[Metric]]:
    """Return an empty table of a block's metrics with a caption on which values are good, and these metrics."""
    columns = tables.summary_metrics(block)
    grid = Table(title=title, title_justify="left")
    for label in labels:
        grid.add_column(label)
    for metric in columns:
        grid.add_column(metric.heading, justify="right")
    usual = Counter(common_direction(metric.better) for metric in columns).most_common(1)[0][0]
    others = [metric for metric in columns if common_direction(metric.better) != usual]
    exceptions = [f"{metric.heading}: {common_direction(metric.better)}" for metric in others]
    grid.caption = "; ".join([usual, *exceptions])
    return grid, columns


def _rules(gate: Mapping[str, Any]) -> Table:
    """Return every rule, and the requirements that are not met."""
    grid = Table(title="The gate's rules", title_justify="left")
    grid.add_column("", no_wrap=True)
    grid.add_column("rule", overflow="fold")
    grid.add_column("value", justify="right", no_wrap=True)
    grid.add_column("threshold", justify="right", no_wrap=True)
    unmet = [result for result in gate.get("require") or [] if result.get("passed") is not True]
    for rule in [*(gate.get("rules") or []), *unmet]:
        passed = rule.get("passed") is True
        threshold = f"{rule.get('operator') or ''} {formatting.figure(rule.get('threshold'))}".strip()
        mark = Text("✓" if passed else "✗", style=_colour(passed))
        grid.add_row(mark, Text(str(rule.get("rule"))), formatting.figure(rule.get("value")), threshold)
    return grid


def _colour(passed: bool) -> str:
    return "green" if passed else "red"
