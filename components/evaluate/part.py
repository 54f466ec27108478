"""``python -m components.evaluate.part``: a part of what evaluate asks, for evaluate to go on from.

The vanilla model's answers depend on model, data and protocol alone, so an engine's cache keeps them; and several tasks
can each ask a share. ``evaluate --answers FOLDER`` takes what they wrote in place of asking again, to the same bytes:
batches are the same, and each is asked by one of them.
"""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from components.contract.shares import Irrelevant, Prepared, Share, Vanilla, Work, parse_share
from viker.core import console
from viker.core.console import ParamsOption, stage_app


def command(
    prepared: Prepared,
    vanilla: Vanilla,
    irrelevant: Irrelevant,
    out: Annotated[Path, typer.Option(help="The answers, a folder.")],
    work: Work,
    params: ParamsOption = Path("params.yaml"),
    adapter: Annotated[Path | None, typer.Option(help="Ask the unlearned model; without it the vanilla one.")] = None,
    share: Share = "1/1",
    gpu_processes: Annotated[
        int, typer.Option(min=1, help="Processes on the same GPU at the same time; each takes its part of the memory.")
    ] = 1,
) -> None:
    """Ask one of the models a share of all questions and attacks. A task that was killed resumes."""
    from components.evaluate.run import Inputs, ask_part
    from viker.models.pass_size import share_gpu

    share_gpu(gpu_processes)
    settings = load_params(params)
    inputs = Inputs(prepared, vanilla, irrelevant, adapter)
    count = ask_part(settings.evaluate, settings.seed, settings.threads, inputs, parse_share(share), work, out)
    typer.echo(f"{out}: {count} batches and attacks of {'vanilla' if adapter is None else 'unlearned'}, share {share}")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
