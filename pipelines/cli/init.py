"""``viker init``: a params.yaml for one's own data and model, from the answers to four questions."""

import os
from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import Params, load_params
from pipelines.cli.profile import change_params
from viker.core.console import say
from viker.core.errors import UserError
from viker.core.files import create_file

SHIPPED = Path(__file__).parents[2] / "params.yaml"
HALF = "bfloat16"


def init(
    source: Annotated[
        str | None, typer.Option(help="The data: a file or folder, s3://BUCKET/PREFIX or hf://OWNER/NAME.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The deployed model: a folder or hub name; 'none' trains a small one.")
    ] = None,
    forget: Annotated[
        str | None, typer.Option(help="IDs of the people to forget, with commas; 'requests': those asked for later.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="float32, or bfloat16 for a model of billions.")] = None,
    out: Annotated[Path, typer.Option(help="Where the parameters go; must not exist.")] = Path("params.yaml"),
) -> None:
    """Write a commented params.yaml for your own data and model; asks for what no option says.

    All other settings are those of the demo; each has its comment. Nothing is overwritten.
    """
    if out.exists():
        raise UserError(
            f"{out}: is there already; nothing was written. Name another file with --out, or change that one: "
            "'viker profile' and 'viker validate' help."
        )
    ask = typer.prompt
    source = source or ask("Where is the data (a file, a folder, s3://… or hf://…)?")
    model = model or ask("Which model has been trained on it (a folder, a hub name, or none)?", default="none")
    people = forget or ask("Who is to be forgotten (IDs with commas, or requests)?", default="requests")
    precision = precision or ask(
        "Which precision has the frozen model (float32 or bfloat16)?", default="float32" if model == "none" else HALF
    )
    create_file(out, SHIPPED.read_text(encoding="utf-8"))
    try:
        change_params(
            out,
            {
                "prepare": {
                    "source": source,
                    "forget_ids": _ids(people),
                },
                "finetune": {"deployed_model": None if model == "none" else model},
                "unlearn": {"precision": precision},
                "evaluate": {"processes": 2 if model == "none" else 1},
                "threads": os.cpu_count() or 1,
                "register": {"experiment": "my-data", "model_name": "my-data-adapter"},
            },
            out,
        )
    except UserError:
        out.unlink()
        raise
    _next(out, load_params(out))


def _ids(people: str) -> list[str]:
    """Return the IDs in an answer; none for 'requests'."""
    return [] if people == "requests" else [one.strip() for one in people.split(",") if one.strip()]


def _next(out: Path, params: Params) -> None:
    asked = "" if params.prepare.forget_ids else "\n  viker request add ID --reason erasure   # who is to be forgotten"
    say(
        f"{out}: written. Next:\n  viker validate --params {out}{asked}\n"
        f"  viker doctor --params {out}              # what a long run needs\n  viker repro"
    )
