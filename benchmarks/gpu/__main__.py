"""``python -m benchmarks.gpu``: the engine at the sizes of LLaVA-1.5 7B and 13B, each figure versus a naive way."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import transformers
import typer

from benchmarks.gate.__main__ import put
from benchmarks.gpu.cases import chosen, measure
from benchmarks.gpu.row import table
from benchmarks.gpu.setup import build
from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.files import write_json

PAGE = Path("docs/gpu.md")
MODELS = {"toy": "a toy model", "7b": "LLaVA-1.5 7B", "13b": "LLaVA-1.5 13B"}


def command(
    params: ParamsOption = Path("params.yaml"),
    size: Annotated[str, typer.Option(help="7b or 13b, which need a GPU, or toy.")] = "7b",
    rows: Annotated[str, typer.Option(help="What is measured: beginnings of names, comma-separated.")] = "all",
    rounds: Annotated[int, typer.Option(min=1, help="How often each pair is timed, in turn.")] = 5,
    samples: Annotated[int, typer.Option(min=2, help="Samples of the teacher.")] = 200,
    out: Annotated[Path | None, typer.Option(help="All figures as JSON. [default: work/gpu/SIZE.json]")] = None,
    page: Annotated[
        Path | None, typer.Option(help=f"The page with the table. [default: {PAGE}, and none for the toy]")
    ] = None,
) -> None:
    """Measure each row and its naive way in turn, write all figures as JSON, and put a table into the page.

    A row that memory is too small for is reported as such, and the next one goes on.
    """
    cases = chosen(rows)
    setup = build(size, load_params(params), samples, rounds)
    measured = measure(setup, cases, lambda name: typer.echo(f"{size}: {name}", err=True))
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    figures = {
        "device": setup.card,
        "size": size,
        **versions,
        "rounds": rounds,
        "rows": [asdict(row) for row in measured],
    }
    write_json(out or Path(f"work/gpu/{size}.json"), figures)
    text = f"{setup.card}, torch {torch.__version__}, {MODELS[size]}:\n\n{table(measured)}"
    typer.echo(text)
    if page or size != "toy":
        put(text, mark(size), page or PAGE)


def mark(size: str) -> str:
    """Return the command that makes the table of ``size``, which marks its place in the page."""
    return "make bench-gpu" if size == "7b" else f"make bench-gpu SIZE={size}"


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
