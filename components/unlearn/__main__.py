"""``python -m components.unlearn``: train the adapter that forgets."""

from pathlib import Path

import typer

from components.contract.params import Params
from components.contract.program import stage_program
from components.unlearn.stage import STAGE, Arguments
from components.unlearn.start import started_from
from viker import tracking
from viker.core import console
from viker.tracking.reporters import Reporters


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Unlearn the forget set: train a LoRA adapter with ViKeR, or with a method to compare it with.

    Method and settings are the section 'unlearn' of params.yaml. The vanilla model itself is not changed. A run that
    was killed resumes from its last checkpoint. After SIGTERM it saves one and exits with 143. With several GPUs:
    `accelerate launch --multi_gpu --num_processes N -m components.unlearn`.
    """
    from components.unlearn.run import run
    from viker.core.distributed import processes

    settings = started_from(settings, args.start)
    with tracking.Stage(
        "unlearn", settings.values(), params, live=True, also=Reporters(settings.tracking.also)
    ) as recorded:
        recorded.params({"unlearn": settings.unlearn.model_dump(mode="json", by_alias=True), "seed": settings.seed})
        recorded.data(args.prepared)
        done = run(settings.unlearn, settings.seed, settings.threads, args)
        recorded.metrics({"unlearn": done})
        recorded.tags({"method": done["method"]}, run=tracking.PIPELINE)
        recorded.artifact(args.out, "adapter")
        recorded.artifact(args.records, "unlearning")
    if not processes().is_main_process:
        return
    typer.echo(
        f"{done['asked_by_name']} facts are unlearnt by name too, and {done['own_replies']} own replies of the model\n"
        f"{args.out}: {done['method']}, {done['steps']} steps on {done['samples']} samples in {done['seconds']:.0f} s; "
        f"{done['key_tokens']} of {done['tokens']} answer tokens are key tokens"
    )


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
