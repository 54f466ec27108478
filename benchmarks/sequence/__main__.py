"""``python -m benchmarks.sequence``: two requests in turn, and what each model then says of whom, as a table."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app

FIGURES = {
    "first, leakage": "first request, leakage",
    "first, other pictures": "… in other pictures and wordings",
    "second, leakage": "second request, leakage",
    "second, other pictures": "… in other pictures and wordings",
    "retain accuracy": "retain accuracy",
    "gibberish": "gibberish",
}


def command(
    params: ParamsOption = Path("params.yaml"),
    vanilla: Annotated[Path, typer.Option(help="The demo's model, which 'make demo' leaves there.")] = Path(
        "models/vanilla"
    ),
    work: Annotated[Path, typer.Option(help="What is made on the way; what is there is used again.")] = Path(
        "work/sequence"
    ),
) -> None:
    """Carry out two requests of the demo's people, the second from the first one's adapter and from the vanilla model.

    Each model is then asked about the people of both requests and about everyone else. Minutes on two cores.
    """
    settings = load_params(params)
    from benchmarks.sequence.measure import measure_sequence

    figures = pd.DataFrame(measure_sequence(settings, vanilla, work))
    lines = ["| model | " + " | ".join(FIGURES.values()) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for row in figures.to_dict("records"):
        lines.append(f"| {row['model']} | " + " | ".join(f"{row[name]:.2f}" for name in FIGURES) + " |")
    typer.echo("\n".join(lines))


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
