"""The command line of the stage gate."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from components.params import load_params
from viker import tracking
from viker.core import console

FAILED = 3
"""Exit code of a failed gate: apart from 1, an error, and 2, wrong usage."""


def command(
    params: console.ParamsOption = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(help="The prepared data.")] = Path("data/prepared"),
    vanilla: Annotated[Path, typer.Option(help="The model that knows the people.")] = Path("models/vanilla"),
    adapter: Annotated[Path, typer.Option(help="The adapter that forgets.")] = Path("models/adapter"),
    predictions: Annotated[Path, typer.Option(help="Every reply.")] = Path("evaluation/predictions.parquet"),
    attacks: Annotated[Path, typer.Option(help="Every reply under attack.")] = Path("evaluation/attacks.parquet"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    out: Annotated[Path, typer.Option(help="Where the verdict goes, JSON.")] = Path("metrics/gate.json"),
    enforce: Annotated[
        bool,
        typer.Option(help="Exit with 3 where the gate fails; else exit with 0 and leave it to what reads the verdict."),
    ] = True,
) -> None:
    """Hold the metrics against the policy `gate.policy` and the rules `gate.rules`, and write the verdict.

    The gate passes where **every** rule passes and **everything** required is there. A metric that is missing, null
    or NaN fails: what was not measured is not proven. So do metrics that were edited, or measured on another adapter,
    model, data or settings than those that lie here. Exit codes: 0 passed, 3 failed, 1 an error in what was given,
    2 wrong usage.
    """
    from components.gate.run import run
    from components.gate.show import show

    settings = load_params(params)
    with tracking.stage("gate", settings, params) as recorded:
        verdict = run(settings, prepared, vanilla, adapter, predictions, attacks, metrics, out)
        for part in (tracking.STAGE, tracking.PIPELINE):
            recorded.metrics({"gate": {"passed": float(verdict["verdict"] == "pass")}}, run=part)
            recorded.tags({"verdict": verdict["verdict"]}, run=part)
        recorded.params({"gate": settings.gate.model_dump(mode="json")})
        recorded.artifact(out)
    show(verdict, Console(highlight=False))
    if enforce and verdict["verdict"] != "pass":
        raise typer.Exit(FAILED)


app = console.stage_app(command)

if __name__ == "__main__":
    console.run(app)
