"""``python -m benchmarks.nightly``: ten requests, one a night, and the curve of who is known afterwards."""

import csv
import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.nightly.measure import nights
from viker.core import console
from viker.core.console import ParamsOption, stage_app


def command(
    params: ParamsOption = Path("params.yaml"),
    vanilla: Annotated[Path, typer.Option(help="The deployed model; the demo's is shipped.")] = Path(
        "components/finetune/vanilla"
    ),
    work: Annotated[Path, typer.Option(help="What is made on the way; a new folder.")] = Path("work/nightly"),
    count: Annotated[int, typer.Option(min=1, help="How many nights.")] = 10,
    out: Annotated[Path, typer.Option(help="The figures, CSV, and the curve beside it.")] = Path("docs/nightly.csv"),
) -> None:
    """Carry out a request a night, each from the champion's adapter, and ask about everyone after each."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{work.resolve()}/mlflow.db"
    people = [f"{number:03}" for number in range(1, count + 1)]
    rows = []
    with out.open("w", newline="", encoding="utf-8") as stream:
        for row in nights(params, vanilla.resolve(), work.resolve(), people):
            rows.append(row)
            writer = csv.DictWriter(stream, row.keys(), lineterminator="\n")
            if len(rows) == 1:
                writer.writeheader()
            writer.writerow({key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()})
            stream.flush()
            typer.echo(f"night {row['night']}: version {row['version']}, still known {row['forgotten']:.2f}")
    _draw(rows, out.with_suffix(".png"))


def _draw(rows: list[dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    labels = {
        "retained": "everyone else",
        "newest": "tonight's person",
        "forgotten": "all who asked so far",
        "asked_otherwise": "all who asked so far, asked otherwise",
    }
    for name, label in labels.items():
        axes.plot([row["night"] for row in rows], [row[name] for row in rows], marker="o", label=label)
    axes.set(xlabel="night", ylabel="share of questions answered", ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
