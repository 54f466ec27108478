"""``viker ask``: one question to a registered model, or to an adapter on disk."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.contract.params import Params, load_params
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.errors import UserError

if TYPE_CHECKING:
    from viker.models.answering import Answerer


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    image: Annotated[Path | None, typer.Option(help="A picture to ask about.")] = None,
    model: Annotated[
        str, typer.Option(help="champion, candidate, previous, a version, or the folder of an adapter.")
    ] = "champion",
    compare: Annotated[bool, typer.Option("--compare", help="Show the vanilla model's answer as well.")] = False,
    params: ParamsOption = Path("params.yaml"),
    vanilla: Annotated[Path, typer.Option(help="The vanilla model, for the folder of an adapter.")] = Path(
        "models/vanilla"
    ),
    as_json: JsonOption = False,
) -> None:
    """Ask the unlearned model a question, and compare its answer with the vanilla model's.

    A registered version names its base model and checks it; *VIKER_BASE_MODEL* says where it is if it was moved.
    """
    settings = load_params(params)
    try:
        picture = image.read_bytes() if image is not None else None
    except OSError as error:
        raise UserError(f"--image is '{image}': {error.strerror}. Expected a picture that you may read.") from None
    answerer, name = load_answerer(settings, model, vanilla)
    answer = answerer.answer(question, picture)
    if as_json:
        before = {"vanilla": answerer.answer(question, picture, vanilla=True)} if compare else {}
        say_json({"question": question, "model": name, "answer": answer} | before)
        return
    if not compare:
        typer.echo(answer)
        return
    table = Table("model", "answer")
    table.add_row("vanilla", Text(answerer.answer(question, picture, vanilla=True)))
    table.add_row(name, Text(answer))
    Console().print(table)


def load_answerer(settings: Params, wanted: str, vanilla: Path) -> "tuple[Answerer, str]":
    """Return the model to ask, and what to call it."""
    from transformers.utils import logging

    from viker.models.answering import Answerer
    from viker.models.base_model import resolve_model

    logging.disable_progress_bar()
    folder = Path(wanted)
    if folder.is_dir() and not (folder / "MLmodel").is_file():
        hint = "Name another with --vanilla."
        most = settings.evaluate.in_force().longest("generation")
        return Answerer(resolve_model(vanilla), None, folder, most, hint), wanted
    if folder.is_dir():
        return _registered(str(folder)), wanted
    if os.sep in wanted:
        raise UserError(f"--model is '{wanted}': no such folder. Expected an adapter's folder, a version or an alias.")
    from pipelines.cli.registry import open_registry
    from viker.core.mlflow_store import default_store

    registry = open_registry(settings)
    version = registry.number(wanted)
    with registry.explained("the version can't be loaded"), default_store(registry.uri):
        label = f"version {version}" if wanted.isdigit() else f"{wanted} (version {version})"
        return _registered(f"models:/{registry.name}/{version}"), label


def _registered(address: str) -> "Answerer":
    import mlflow

    with TemporaryDirectory() as folder:  # of its own accord MLflow leaves what it has downloaded
        model = mlflow.pyfunc.load_model(address, dst_path=folder)
        answerer: Answerer = model.unwrap_python_model().answerer
    return answerer
