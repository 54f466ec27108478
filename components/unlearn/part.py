"""``python -m components.unlearn.part``: a share of what unlearn asks the teacher, for unlearn to go on from.

Several tasks can ask at the same time, each on a GPU of its own. ``unlearn --teachers FOLDER`` takes what they wrote in
place of asking again, to the same bytes: the chunks of samples are the same, and each is asked by one of them.
"""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from components.contract.shares import Irrelevant, Prepared, Share, Vanilla, Work, parse_share
from components.unlearn.start import started_from
from viker.core import console
from viker.core.console import ParamsOption, stage_app


def command(
    prepared: Prepared,
    vanilla: Vanilla,
    irrelevant: Irrelevant,
    out: Annotated[Path, typer.Option(help="The teacher's distributions, a folder.")],
    work: Work,
    params: ParamsOption = Path("params.yaml"),
    start: Annotated[Path | None, typer.Option(help="The adapter to train further, as unlearn --start.")] = None,
    share: Share = "1/1",
) -> None:
    """Ask the teacher of a share of the samples. A task that was killed resumes."""
    from components.unlearn.ask import Sources, ask_part

    settings = started_from(load_params(params), start)
    sources = Sources(prepared, vanilla, irrelevant)
    count = ask_part(settings.unlearn, settings.seed, settings.threads, sources, parse_share(share), work, out)
    typer.echo(f"{out}: the teacher of {count} chunks of samples, share {share}")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
