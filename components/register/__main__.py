"""Command line of the stage register."""

from pathlib import Path
from typing import Annotated

import typer

from viker.core import console
from viker.core.console import ParamsOption, stage_app


def command(
    params: ParamsOption = Path("params.yaml"),
    adapter: Annotated[Path, typer.Option(help="The LoRA adapter to register.")] = Path("models/adapter"),
    model: Annotated[Path, typer.Option(help="The vanilla model that it belongs to.")] = Path("models/vanilla"),
    prepared: Annotated[Path, typer.Option(help="The prepared data: its manifest is kept.")] = Path("data/prepared"),
    unlearning: Annotated[Path, typer.Option(help="The records of the unlearning run: its summary.")] = Path(
        "unlearning"
    ),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    gate: Annotated[Path, typer.Option(help="The gate's verdict.")] = Path("metrics/gate.json"),
    out: Annotated[Path, typer.Option(help="Run, version and aliases are written here.")] = Path(
        "metrics/register.json"
    ),
    promote: Annotated[bool, typer.Option(help="Promote it where it may be; else leave that to what follows.")] = True,
) -> None:
    """Register the adapter in MLflow with its evidence, and promote it where it may be.

    Makes a version of the registered model: an MLflow model with the adapter, the code that answers, and what proves
    the verdict; its tags say what it was made from. The alias **candidate** moves to it. **champion** moves only if
    the gate passed and nobody is known again whom the champion has forgotten. Refuses if adapter, model or data are
    not the ones that were evaluated.

    Where: the server of *MLFLOW_TRACKING_URI*, else the database *mlflow.db* in the current folder. The same inputs
    again make no second version.
    """
    from components.params import load_params
    from components.register.run import run

    made = run(load_params(params), params, adapter, model, prepared, unlearning, metrics, gate, out, promote)
    aliases = ", ".join(made["aliases"]) or "no alias"
    typer.echo(f"{made['model_name']} version {made['version']}: {aliases} (run {made['run_id']})")
    if made["refused"]:
        typer.echo(f"not promoted: {'; '.join(made['refused'])}")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
