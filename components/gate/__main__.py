"""The command line of the stage gate."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.common import cli
from components.common.params import load_params
from components.gate.run import run

FAILED = 3
"""Exit code of a failed gate: apart from 1, an error, and 2, wrong usage."""


def command(
    params: cli.ParamsOption = Path("params.yaml"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    out: Annotated[Path, typer.Option(help="Where the verdict goes, JSON.")] = Path("metrics/gate.json"),
    enforce: Annotated[
        bool,
        typer.Option(help="Exit with 3 where the gate fails; else exit with 0 and leave it to what reads the verdict."),
    ] = True,
) -> None:
    """Hold the metrics against the rules of `gate.rules` and write the verdict.

    The gate passes where **every** rule passes. A metric that is missing, null or NaN fails its rule: what was
    not measured is not proven. Exit codes: 0 passed, 3 failed, 1 an error in what was given, 2 wrong usage.
    """
    verdict = run(load_params(params).gate, metrics, out)
    show(verdict, Console())
    if enforce and verdict["verdict"] != "pass":
        raise typer.Exit(FAILED)


def show(verdict: dict[str, Any], console: Console) -> None:
    """Print a line a rule, then the verdict, with the reasons for what failed."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("rule", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("threshold", justify="right")
    table.add_column("")
    for rule in verdict["rules"]:
        mark = Text("pass", "green") if rule["passed"] else Text("fail", "bold red")
        table.add_row(Text(rule["rule"]), _number(rule["value"]), _number(rule["threshold"]), mark)
    console.print(table)
    passed = verdict["verdict"] == "pass"
    console.print(Text(f"gate: {verdict['verdict']}", "bold green" if passed else "bold red"))
    for rule in verdict["rules"]:
        if not rule["passed"]:
            console.print(Text(f"  {rule['reason']}"), soft_wrap=True)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


app = cli.stage_app(command)

if __name__ == "__main__":
    cli.run(app)
