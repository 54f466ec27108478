"""Command line of the stage register."""

from pathlib import Path

import typer

from components.contract.params import Params
from components.contract.program import stage_program
from components.register.stage import STAGE, Arguments
from viker.core import console


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Register the adapter in MLflow with its evidence, and promote it if the gate passed.

    Makes a version of the registered model: an MLflow model with the adapter, the code that answers, and what proves
    the verdict; its tags say what it was made from. The alias **candidate** moves to it. **champion** moves only if
    the gate passed and nobody is known again whom the champion has forgotten. Refuses if adapter, model or data are
    not the ones that were evaluated.

    Where: the server of *MLFLOW_TRACKING_URI*, else the database *mlflow.db* in the current folder. The same inputs
    again make no second version.
    """
    from components.register.run import run

    registered = run(settings, params, args)
    aliases = ", ".join(registered["aliases"]) or "no alias"
    typer.echo(f"{registered['model_name']} version {registered['version']}: {aliases} (run {registered['run_id']})")
    if registered["refused"]:
        typer.echo(f"not promoted: {'; '.join(registered['refused'])}")


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
