"""What a run comes to, on one screen: the numbers, the verdict with every rule, and where to look next."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.params import load_params
from viker.core.console import ParamsOption
from viker.core.files import read_json
from viker.data.records import SPLITS
from viker.report import tables
from viker.tracking import DEFAULT_URI, without_secrets


def summary(
    params: ParamsOption = Path("params.yaml"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    gate: Annotated[Path, typer.Option(help="The gate's verdict.")] = Path("metrics/gate.json"),
    report: Annotated[Path, typer.Option(help="The evidence report.")] = Path("report/report.html"),
) -> None:
    """Print the metrics before and after, the verdict with every rule, and where to look next.

    Reads what *evaluate* and *gate* wrote; runs nothing.
    """
    experiment = load_params(params).register_.experiment
    console = Console(highlight=False)
    console.print(table(read_json(metrics, "evaluate"), read_json(gate, "gate")))
    # Not wrapped: paths and commands are there to be copied.
    state = "" if report.exists() else " (not written yet)"
    console.print(f"report:    {report}{state}", soft_wrap=True, markup=False)
    console.print(f"runs:      MLflow experiment '{experiment}':\n  {ui_command()}", soft_wrap=True, markup=False)


def table(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> RenderableType:
    """Return the tables of metrics, fluency and rules, and the verdict, for a console of 80 columns or more.

    Args:
        metrics: metrics/evaluate.json; what it lacks is shown as an en dash.
        gate: metrics/gate.json.
    """
    passed, sentence = tables.verdict(gate)
    verdict = Text(f"{'✓' if passed else '✗'} {sentence}", style=f"bold {_colour(passed)}")
    return Group(_measures(metrics), _fluency(metrics), _rules(gate), verdict, "")


def ui_command() -> str:
    """Return how to look at the runs: the command that opens MLflow on a database, or the server's address."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if uri.startswith(("http:", "https:")):
        return f"open {without_secrets(uri)}"
    shown = uri if uri == without_secrets(uri) else '"$MLFLOW_TRACKING_URI"'
    return f".venv/bin/mlflow ui --backend-store-uri {shown}"


def _measures(metrics: Mapping[str, Any]) -> Table:
    shown = Table(title="Shown the picture", title_justify="left")
    for heading in ("", "model"):
        shown.add_column(heading)
    for _, heading in tables.MEASURES:
        shown.add_column(heading, justify="right")
    for split in SPLITS:
        for model in tables.MODELS:
            cells = [tables.cell(metrics, f"{model}.{split}.{key}") for key, _ in tables.MEASURES]
            shown.add_row(split if model == tables.MODELS[0] else "", model, *cells)
        shown.add_section()
    shown.caption = "lower is better on forget and test, higher on retain and real"
    return shown


def _fluency(metrics: Mapping[str, Any]) -> Table:
    shown = Table(title="Fluency, lower is better", title_justify="left")
    shown.add_column("model")
    for _, heading in tables.FLUENCY:
        shown.add_column(heading, justify="right")
    for model in tables.MODELS:
        shown.add_row(model, *(tables.cell(metrics, f"{model}.fluency.{key}") for key, _ in tables.FLUENCY))
    return shown


def _rules(gate: Mapping[str, Any]) -> Table:
    """Show every rule, and of what is required what is not met."""
    shown = Table(title="The gate's rules", title_justify="left")
    shown.add_column("", no_wrap=True)
    shown.add_column("rule", overflow="fold")
    shown.add_column("value", justify="right", no_wrap=True)
    shown.add_column("threshold", justify="right", no_wrap=True)
    unmet = [one for one in gate.get("require") or [] if one.get("passed") is not True]
    for rule in [*(gate.get("rules") or []), *unmet]:
        passed = rule.get("passed") is True
        threshold = f"{rule.get('operator') or ''} {tables.figure(rule.get('threshold'))}".strip()
        mark = Text("✓" if passed else "✗", style=_colour(passed))
        shown.add_row(mark, Text(str(rule.get("rule"))), tables.figure(rule.get("value")), threshold)
    return shown


def _colour(passed: bool) -> str:
    return "green" if passed else "red"
