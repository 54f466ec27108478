"""``python -m benchmarks.paper``: every method and teacher where facts can be told by the picture alone."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Literal

import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.errors import UserError
from viker.core.files import new_file, read_json, write_json


def command(
    params: ParamsOption = Path("params.yaml"),
    text: Annotated[Path, typer.Option(help="TOFU's text, a folder.")] = Path("../shared/data/tofu"),
    seeds: Annotated[str, typer.Option(help="The seeds, with commas between.")] = "7",
    size: Annotated[Literal["toy", "medium"], typer.Option(help="toy: for two cores; medium: for a GPU.")] = "toy",
    only: Annotated[str, typer.Option(help="Measure only the settings whose names contain this.")] = "",
    processes: Annotated[int, typer.Option(min=1, help="Settings that are measured at the same time.")] = 2,
    work: Annotated[Path, typer.Option(help="Models and measurements; those that are there are used again.")] = Path(
        "work/paper"
    ),
    out: Annotated[
        Path, typer.Option(help="Where table.md, versus.md, fluency.md and frontier.png go; choose another for medium.")
    ] = Path("docs/beyond"),
) -> None:
    """Teach a model a hundred people by sight, and unlearn ten of them with every method, teacher and lambda.

    Exits with 1 if the model doesn't look at the pictures. A stopped run resumes with the settings that are missing.
    """
    loaded = load_params(params)
    work = work / size
    from benchmarks.paper.measure import measure_setting, result_file, settings
    from benchmarks.paper.show import KEPT, fluency, frontier, table, versus

    numbers = [int(word) for word in seeds.split(",") if word.strip().isdigit()]
    names = [name for name in settings() if only in name]
    if not numbers or not names:
        raise UserError("--seeds or --only: nothing to measure. Give numbers with commas between, or part of a name.")
    for seed in numbers:
        reliance = _prepare(text, seed, loaded.threads, work / str(seed), size)
        typer.echo(
            f"seed {seed}: visual reliance {reliance['reliance']:.2f}, {reliance['own']:.2f} with the own picture"
        )
    waiting = [(seed, name) for seed in numbers for name in names if not result_file(work, seed, name).exists()]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for done in [pool.submit(measure_setting, params, text, work, *one) for one in waiting]:
            typer.echo(done.result())
    results = {
        name: {seed: read_json(result_file(work, seed, name), "bench-paper") for seed in numbers} for name in names
    }
    for file, made in (("table.md", table), ("versus.md", versus)):
        with new_file(out / file) as path:
            texts = [f"{heading}:\n\n{made(results, what)}" for what, heading in KEPT.items()]
            path.write_text("\n".join(texts), encoding="utf-8")
    with new_file(out / "fluency.md") as path:
        path.write_text(fluency(results), encoding="utf-8")
    with new_file(out / "frontier.png") as path:
        frontier(results, path)
    typer.echo(f"{out}: table.md, versus.md, fluency.md, frontier.png")


def _prepare(text: Path, seed: int, threads: int, work: Path, size: str) -> dict[str, float]:
    from benchmarks.paper.model import SIZES, known_model
    from benchmarks.paper.people import read_people

    *_, reliance = known_model(read_people(text, seed), seed, threads, work / "model", SIZES[size])
    write_json(work / "reliance.json", reliance)
    return reliance


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
