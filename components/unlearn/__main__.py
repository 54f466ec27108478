"""``python -m components.unlearn``: train the adapter that forgets."""

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
    vanilla: Annotated[Path, typer.Option(help="The model that knows the people.")] = Path("models/vanilla"),
    irrelevant: Annotated[Path, typer.Option(help="The irrelevant images.")] = Path("data/irrelevant"),
    out: Annotated[Path, typer.Option(help="The adapter, a PEFT folder.")] = Path("models/adapter"),
    records: Annotated[Path, typer.Option(help="Loss curve and key tokens.")] = Path("unlearning"),
    state: Annotated[Path, typer.Option(help="Where a run under way keeps its checkpoints.")] = Path("work/unlearn"),
) -> None:
    """Unlearn the forget set: train a LoRA adapter with ViKeR, or with a method to compare it with.

    The method and its settings are the section 'unlearn' of params.yaml. The vanilla model itself is not changed.
    A run that was killed goes on from its last checkpoint when it is started again. After SIGTERM it saves one and
    exits with 143. With several GPUs: `accelerate launch --multi_gpu --num_processes N -m components.unlearn`.
    """
    settings = load_params(params)
    from components.unlearn.run import run
    from viker.core.distributed import first

    with tracking.stage("unlearn", settings, params) as recorded:
        recorded.params({"unlearn": settings.unlearn.model_dump(mode="json", by_alias=True), "seed": settings.seed})
        recorded.data(prepared)
        done = run(
            settings.unlearn, settings.seed, settings.threads, prepared, vanilla, irrelevant, out, records, state
        )
        recorded.metrics({"unlearn": done})
        recorded.tags({"method": done["method"]}, run=tracking.PIPELINE)
        recorded.artifact(out, "adapter")
        recorded.artifact(records, "unlearning")
    if not first():
        return
    typer.echo(
        f"{out}: {done['method']}, {done['steps']} steps on {done['samples']} samples in {done['seconds']:.0f} s; "
        f"{done['key_tokens']} of {done['tokens']} answer tokens are key tokens"
    )


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
