"""Command line of the stage report."""

from pathlib import Path
from typing import Annotated

import typer

from components.common import cli, tracking
from components.common.cli import ParamsOption, stage_app


def command(
    params: ParamsOption = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(help="The prepared data: pictures, answers, counts.")] = Path(
        "data/prepared"
    ),
    unlearning: Annotated[Path, typer.Option(help="Loss and key-token records of unlearn.")] = Path("unlearning"),
    predictions: Annotated[Path, typer.Option(help="The models' replies.")] = Path("evaluation/predictions.parquet"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    gate: Annotated[Path, typer.Option(help="The gate's verdict.")] = Path("metrics/gate.json"),
    register: Annotated[Path, typer.Option(help="The registered version; may be missing.")] = Path(
        "metrics/register.json"
    ),
    out: Annotated[Path, typer.Option(help="The report is written here.")] = Path("report/report.html"),
) -> None:
    """Write the evidence report: one HTML file to open, print, send or archive.

    Shows the verdict and every rule, the metrics before and after, the loss, the teacher's entropy, answers before
    and after with what they leak, the key tokens, and what the adapter was made from. It loads nothing from anywhere
    and runs no script.

    The report quotes the private answers that were to be forgotten: keep it as safe as the data itself.
    """
    from components.common.params import load_params
    from components.report.run import run

    settings = load_params(params)
    with tracking.stage("report", settings, params, last=True) as recorded:
        run(settings, params, prepared, unlearning, predictions, metrics, gate, register, out)
        recorded.artifact(out)
    typer.echo(f"report: {out}")


app = stage_app(command)

if __name__ == "__main__":
    cli.run(app)
