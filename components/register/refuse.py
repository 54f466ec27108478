"""``python -m components.register.refuse``: fail a run for what was wrong with what it was given, without a GPU."""

from pathlib import Path
from typing import Annotated

import typer

from viker.core import console
from viker.core.console import stage_app
from viker.core.errors import UserError


def command(
    reason: Annotated[str, typer.Option(help="What the task said.")],
    out: Annotated[Path, typer.Option(help="Nothing is written here: the task fails.")],
) -> None:
    """Fail with the error that a task on a GPU node ended with."""
    raise UserError(reason)


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
