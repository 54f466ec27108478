"""``python -m benchmarks.methods``: measure every method, then write the table and the plot."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.errors import UserError
from viker.core.files import new_file


def command(
    params: ParamsOption = Path("params.yaml"),
    seeds: Annotated[str, typer.Option(help="The seeds, with commas between.")] = "7,8,9",
    methods: Annotated[str, typer.Option(help="Names of methods, with commas between; all: every one.")] = "all",
    retain: Annotated[
        str, typer.Option(help="Retain terms added to each method, with commas between: none, kl or nll.")
    ] = "none",
    models: Annotated[Path, typer.Option(help="Data and vanilla model of each seed; shared with bench-demo.")] = Path(
        "work/demo"
    ),
    work: Annotated[Path, typer.Option(help="What was measured; a setting found there isn't measured again.")] = Path(
        "work/methods"
    ),
    out: Annotated[Path, typer.Option(help="Where points.csv, table.md and frontier.png go.")] = Path("docs/compared"),
) -> None:
    """Unlearn with each method until it has forgotten, and measure on the way what it keeps.

    Stopped at any moment, it goes on with the setting that it was at. Table and plot show all that is in WORK. About a
    minute a method and seed on two cores, and the vanilla model of a new seed.
    """
    settings = load_params(params)
    from benchmarks.methods.measure import chosen, measure
    from benchmarks.methods.show import frontier, table

    try:
        asked = chosen(methods.split(","), retain.split(","))
        numbers = [int(word) for word in seeds.split(",")]
    except ValueError as error:
        raise UserError(f"--methods, --retain or --seeds: {error}. Give values with commas between.") from None
    for seed in numbers:
        for method in asked:
            done = work / str(seed) / f"{method.name}-{method.retain.term}.csv"
            if done.exists():
                continue
            points = pd.DataFrame(measure(settings, seed, method, models / str(seed)))
            with new_file(done) as path:
                points.to_csv(path, index=False)
    points = pd.concat([pd.read_csv(path) for path in sorted(work.glob("*/*.csv"))], ignore_index=True)
    points = points.round(4)
    with new_file(out / "points.csv") as path:
        points.to_csv(path, index=False)
    with new_file(out / "table.md") as path:
        path.write_text(table(points), encoding="utf-8")
    with new_file(out / "frontier.png") as path:
        frontier(points, path)
    typer.echo(f"{out}: points.csv, table.md, frontier.png")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
