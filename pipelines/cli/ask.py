"""``viker ask``: one question to a registered model, or to an adapter on disk."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.params import Params, load_params
from viker.core.console import ParamsOption
from viker.core.errors import UserError

if TYPE_CHECKING:
    from viker.models.answering import Answerer


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    image: Annotated[Path | None, typer.Option(help="A picture to ask about.")] = None,
    model: Annotated[
        str, typer.Option(help="champion, candidate, previous, a version, or the folder of an adapter.")
    ] = "champion",
    compare: Annotated[bool, typer.Option("--compare", help="Show what the vanilla model answers beside it.")] = False,
    params: ParamsOption = Path("params.yaml"),
    vanilla: Annotated[Path, typer.Option(help="The vanilla model, for the folder of an adapter.")] = Path(
        "models/vanilla"
    ),
) -> None:
    """Ask the unlearned model, and the vanilla one beside it.

    A registered version names its base model and checks it; *VIKER_BASE_MODEL* says where it lies if it was moved.
    """
    settings = load_params(params)
    shown = _read(image) if image is not None else None
    answerer, name = _load(settings, model, vanilla)
    answer = answerer.answer(question, shown)
    if not compare:
        typer.echo(answer)
        return
    table = Table("model", "answer")
    table.add_row("vanilla", Text(answerer.answer(question, shown, vanilla=True)))
    table.add_row(name, Text(answer))
    Console().print(table)


def _load(settings: Params, wanted: str, vanilla: Path) -> "tuple[Answerer, str]":
    """Return what answers, and what to call it."""
    from transformers.utils import logging

    from viker.models.answering import Answerer
    from viker.models.base_model import resolve_model

    logging.disable_progress_bar()
    folder = Path(wanted)
    if folder.is_dir() and not (folder / "MLmodel").is_file():
        hint = "Name another with --vanilla."
        return Answerer(resolve_model(vanilla), None, folder, settings.evaluate.max_new_tokens, hint), wanted
    if folder.is_dir():
        return _registered(str(folder)), wanted
    if os.sep in wanted:
        raise UserError(f"--model is '{wanted}': no such folder. Expected an adapter's, a version, or an alias.")
    import mlflow

    from pipelines.cli.registry import open_registry

    registry = open_registry(settings)
    version = registry.number(wanted)
    mlflow.set_tracking_uri(registry.uri)
    with registry.explained("the version can't be loaded"):
        label = f"version {version}" if wanted.isdigit() else f"{wanted} (version {version})"
        return _registered(f"models:/{registry.name}/{version}"), label


def _registered(address: str) -> "Answerer":
    import mlflow

    answerer: Answerer = mlflow.pyfunc.load_model(address).unwrap_python_model().answerer
    return answerer


def _read(image: Path) -> bytes:
    try:
        return image.read_bytes()
    except OSError as error:
        raise UserError(f"--image is '{image}': {error.strerror}. Expected a picture that you may read.") from None
