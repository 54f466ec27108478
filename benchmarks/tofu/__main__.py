"""Command line of the converter."""

from pathlib import Path
from typing import Annotated

import typer

from viker.core import console
from viker.core.console import stage_app


def command(
    text: Annotated[Path, typer.Option(help="The folder of TOFU's text: authors.jsonl and the files beside it.")],
    out: Annotated[Path, typer.Option(help="The folder to write; replaced if it exists.")] = Path("data/tofu"),
    forget_share: Annotated[float, typer.Option(help="The share of the authors to forget, between 0 and 1.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Decides the pictures and the options' order.")] = 7,
) -> None:
    """Write TOFU's fictitious authors, each with a real face, in MLLMU-Bench's on-disk format.

    The text is TOFU's, the faces are scikit-image's *lfw_subset*. A question about a picture says "this person" where
    TOFU's names the author; the answers stay as they are. What *prepare.source* names may be the folder written here:
    `viker profile tofu` sets the parameters for it.
    """
    from benchmarks.tofu.convert import convert

    written = convert(text, out, forget_share, seed)
    typer.echo(f"{out}: " + ", ".join(f"{name} {rows} rows" for name, rows in written.items()))


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
