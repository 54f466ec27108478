"""``python -m components.gate``: judge the metrics; exit code 0 is pass, 3 is fail."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.common import cli
from components.common.cli import ParamsOption, stage_app
from components.common.params import load_params
from components.gate.run import run

FAILED = 3


def command(
    params: ParamsOption = Path("params.yaml"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    out: Annotated[Path, typer.Option(help="The verdict.")] = Path("metrics/gate.json"),
    enforce: Annotated[bool, typer.Option(help="Exit with 3 when the gate fails.")] = True,
) -> None:
    """Judge an unlearned model by the rules of params.yaml; a metric that is missing fails.

    Exit code: 0 pass, 3 fail, 1 an input is wrong. With --no-enforce the verdict is only written down.
    """
    verdict = run(load_params(params).gate, metrics, out)
    table = Table("", "rule", "value", "threshold")
    for rule in verdict["rules"]:
        numbers = ("–" if number is None else f"{number:.4g}" for number in (rule["value"], rule["threshold"]))
        table.add_row("pass" if rule["passed"] else "FAIL", rule["rule"], *numbers)
    Console().print(table, f"gate: {verdict['verdict']}")
    if enforce and verdict["verdict"] != "pass":
        raise typer.Exit(FAILED)


app = stage_app(command)

if __name__ == "__main__":
    cli.run(app)
