"""``python -m components.finetune``: make the vanilla model, or point to the deployed one."""

from pathlib import Path
from typing import Annotated

import typer

from components.params import load_params
from viker import tracking
from viker.core import console
from viker.core.console import ParamsOption, stage_app


def command(
    params: ParamsOption = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(help="The prepared data.")] = Path("data/prepared"),
    out: Annotated[Path, typer.Option(help="The vanilla model, a transformers folder.")] = Path("models/vanilla"),
) -> None:
    """Make the vanilla model: one that knows the people of the forget and the retain set.

    With 'finetune.deployed_model' set nothing is trained: the folder points to that model.
    """
    settings = load_params(params)
    from components.finetune.run import run

    with tracking.stage("finetune", settings, params) as recorded:
        recorded.params({"finetune": settings.finetune.model_dump(mode="json"), "seed": settings.seed})
        recorded.data(prepared)
        done = run(settings.finetune, settings.seed, settings.threads, prepared, out)
        recorded.metrics({name: value for name, value in done.items() if isinstance(value, float)})
        recorded.tags({name: str(value) for name, value in done.items() if not isinstance(value, float)})
    facts = (f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in done.items())
    typer.echo(f"{out}: {', '.join(facts)}")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
