"""``python -m components.finetune``: make the vanilla model, or point to the deployed one."""

from pathlib import Path

import typer

from components.contract.params import Params
from components.contract.program import stage_program
from components.finetune.stage import STAGE, Arguments
from viker import tracking
from viker.core import console
from viker.tracking.reporters import Reporters


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Make the vanilla model: one that knows the people of the forget and the retain set.

    With 'finetune.deployed_model' set nothing is trained: the folder points to that model.
    """
    from viker.finetuning.arithmetic import same_arithmetic

    if settings.finetune.deployed_model is None:
        same_arithmetic()
    from components.finetune.run import run

    with tracking.Stage(
        "finetune", settings.values(), params, live=True, also=Reporters(settings.tracking.also)
    ) as recorded:
        recorded.params({"finetune": settings.finetune.model_dump(mode="json"), "seed": settings.seed})
        recorded.data(args.prepared)
        done = run(settings.finetune, settings.seed, settings.threads, args.prepared, args.out)
        recorded.metrics({name: value for name, value in done.items() if isinstance(value, float)})
        recorded.tags({name: str(value) for name, value in done.items() if not isinstance(value, float)})
    facts = (f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in done.items())
    typer.echo(f"{args.out}: {', '.join(facts)}")


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
