"""``python -m components.evaluate``: question the vanilla and the unlearned model."""

from contextlib import nullcontext
from pathlib import Path

import typer

from components.contract.params import Params
from components.contract.program import stage_program
from components.evaluate.stage import STAGE, Arguments
from viker import tracking
from viker.attacks.base.strongest import in_words
from viker.core import console
from viker.core.nested import main_metrics


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Question and attack both models: leakage, the benchmarks' scores, fluency, before and after unlearning.

    A run that was killed resumes where it stopped.
    """
    from components.evaluate.beside import PROCESSES, vanilla_beside
    from components.evaluate.run import run
    from viker.models.pass_size import share_gpu

    with tracking.Stage("evaluate", settings.values(), params, live=True) as recorded:
        recorded.params({"evaluate": settings.evaluate.model_dump(mode="json"), "seed": settings.seed})
        recorded.data(args.prepared)
        several = settings.evaluate.processes > 1 and not args.answers
        share_gpu(PROCESSES if several else 1)
        with vanilla_beside(params, args) if several else nullcontext() as vanilla_answers:
            measured = run(settings.evaluate, settings.seed, settings.threads, args, vanilla_answers)
        recorded.metrics({model: measured[model] for model in ("vanilla", "unlearned")})
        recorded.metrics(main_metrics(measured), run=tracking.PIPELINE)
        recorded.tags({"attacks": in_words(measured["unlearned"]["attacks"])}, run=tracking.PIPELINE)
        recorded.artifact(args.metrics)
    for name in ("vanilla", "unlearned"):
        rates = ", ".join(f"{split} {measured[name][split]['leakage_rate']}" for split in ("forget", "test", "retain"))
        typer.echo(f"{name}: leakage {rates}")


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
