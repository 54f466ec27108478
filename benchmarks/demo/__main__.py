"""``python -m benchmarks.demo``: measure, then write the table and the frontier."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.files import new_file


def command(
    params: ParamsOption = Path("params.yaml"),
    seeds: Annotated[str, typer.Option(help="The seeds, with commas between.")] = "7,8,9",
    work: Annotated[Path, typer.Option(help="What is made on the way; a seed measured there isn't again.")] = Path(
        "work/demo"
    ),
    out: Annotated[Path, typer.Option(help="Where epochs.csv, table.md and frontier.png go.")] = Path("docs/demo"),
) -> None:
    """Measure ViKeR against gradient ascent on the demo's data, one row per epoch, setting and seed.

    Without the retain term, as in the paper, and with it, as in params.yaml. About 20 minutes a seed on two cores.
    """
    settings = load_params(params)
    from benchmarks.demo.measure import measure_seed
    from benchmarks.demo.show import frontier, table

    frames = []
    for seed in [int(word) for word in seeds.split(",")]:
        done = work / str(seed) / "epochs.csv"
        if not done.exists():
            rows = pd.DataFrame(measure_seed(settings, seed, done.parent))
            with new_file(done) as path:
                rows.to_csv(path, index=False)
        frames.append(pd.read_csv(done))
    epochs = pd.concat(frames, ignore_index=True)
    with new_file(out / "epochs.csv") as path:
        epochs.round(4).to_csv(path, index=False)
    with new_file(out / "table.md") as path:
        path.write_text(table(epochs), encoding="utf-8")
    with new_file(out / "frontier.png") as path:
        frontier(epochs, path)
    typer.echo(f"{out}: epochs.csv, table.md, frontier.png")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
