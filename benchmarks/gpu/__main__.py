"""``python -m benchmarks.gpu``: the engine at the sizes of LLaVA-1.5 7B and 13B, each figure versus a naive way."""

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import transformers
import typer

from benchmarks.gate.__main__ import put
from benchmarks.gpu.cases import CASES, chosen, measure
from benchmarks.gpu.figures import Figures, code
from benchmarks.gpu.row import figure, table
from benchmarks.gpu.setup import build, card, check_size
from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.files import read_json, sha256_json

PAGE = Path("docs/gpu.md")
MODELS = {"toy": "a toy model", "7b": "LLaVA-1.5 7B", "13b": "LLaVA-1.5 13B"}


def command(
    params: ParamsOption = Path("params.yaml"),
    size: Annotated[str, typer.Option(help="7b or 13b, which need a GPU, or toy.")] = "7b",
    rows: Annotated[
        str,
        typer.Option(
            help="Rows to measure, even if already measured: beginnings of names, comma-separated; all; or none, which "
            "only puts the existing figures into the page. [default: the rows missing from --out]"
        ),
    ] = "",
    rounds: Annotated[int, typer.Option(min=1, help="How often each pair is timed, in turn.")] = 5,
    samples: Annotated[int, typer.Option(min=2, help="Samples of the teacher.")] = 200,
    out: Annotated[Path | None, typer.Option(help="All figures as JSON. [default: work/gpu/SIZE.json]")] = None,
    page: Annotated[
        Path | None, typer.Option(help=f"The page with the table. [default: {PAGE}, and none for the toy]")
    ] = None,
) -> None:
    """Measure each row and its naive way in turn, write all figures as JSON, and put a table into the page.

    Each row is saved as soon as it is measured. After an interruption, the same command measures the missing rows and
    resumes a whole run where it stopped. A row that runs out of memory says so, and the next one follows.
    """
    say = partial(typer.echo, err=True)
    path = out or Path(f"work/gpu/{size}.json")
    if rows == "none":
        show(Figures(path, read_json(path, "benchmarks.gpu"), say), size, page)
        return
    check_size(size)
    settings = load_params(params)
    about = {
        "device": card(),
        "size": size,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "rounds": rounds,
        "samples": samples,
        "params": sha256_json(settings.model_dump(mode="json", by_alias=True)),
        "code": code(),
    }
    figures = Figures(path, about, say)
    cases = chosen("" if rows == "all" else rows) if rows else {name: CASES[name] for name in figures.lacking(CASES)}
    if cases:
        setup = build(size, settings, samples, rounds, Path("work/gpu") / size, about)
        for name, measured in measure(setup, cases, lambda name: say(f"{size}: {name}")):
            figures.add(name, measured)
            for row in measured:
                say(f"  {row.name}: {figure(row.value)} {row.unit} {row.note}")
    show(figures, size, page)


def show(figures: Figures, size: str, page: Path | None) -> None:
    """Print the table of all figures, and put it into the page."""
    text = f"{figures.about['device']}, torch {figures.about['torch']}, {MODELS[size]}:\n\n{table(figures.rows(CASES))}"
    typer.echo(text)
    if page or size != "toy":
        put(text, mark(size), page or PAGE)


def mark(size: str) -> str:
    """Return the command that makes the table of ``size``, which marks its place in the page."""
    return "make bench-gpu" if size == "7b" else f"make bench-gpu SIZE={size}"


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
