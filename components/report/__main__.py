"""Command line of the stage report."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from viker import tracking
from viker.core import console
from viker.core.console import ParamsOption, stage_app


def command(
    params: ParamsOption = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(help="The prepared data: pictures, answers, counts.")] = Path(
        "data/prepared"
    ),
    requests: Annotated[Path, typer.Option(help="The folder of forget requests; may be missing.")] = Path("requests"),
    pending: Annotated[
        str | None, typer.Option(metavar="JSON", help="Request files by name, in place of that folder.")
    ] = None,
    unlearning: Annotated[Path, typer.Option(help="Loss and key-token records of unlearn.")] = Path("unlearning"),
    predictions: Annotated[Path, typer.Option(help="The models' replies.")] = Path("evaluation/predictions.parquet"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured.")] = Path("metrics/evaluate.json"),
    gate: Annotated[Path, typer.Option(help="The gate's verdict.")] = Path("metrics/gate.json"),
    register: Annotated[Path, typer.Option(help="The registered version; may be missing.")] = Path(
        "metrics/register.json"
    ),
    earlier: Annotated[
        list[Path] | None, typer.Option(help="Metrics of an earlier run, for the plot of forget against retain.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The report is written here.")] = Path("report/report.html"),
    bundle: Annotated[Path, typer.Option(help="The evidence bundle is written here.")] = Path("report/evidence.zip"),
) -> None:
    """Write the evidence report, one HTML file to open, print, send or archive, and the bundle that proves it.

    The page shows the verdict with every rule, the request, the metrics with their intervals, the attacks, answers
    before and after, the key tokens, the training, and what it all was made from. It loads nothing and runs no script.

    With `report.redact` it holds no private value, no picture of a person and no ID. Without, it quotes the private
    answers that were to be forgotten: keep it as safe as the data itself.

    `viker verify` checks the bundle. Keep its SHA-256, which is printed here, where nobody can change it.
    """
    from components.params import load_params
    from components.report.run import run
    from viker.data.requests import as_folder
    from viker.report.load import Paths

    settings = load_params(params)
    with (
        tracking.stage("report", settings, params, last=True) as recorded,
        nullcontext(requests) if pending is None else as_folder(pending) as folder,
    ):
        paths = Paths(params, prepared, folder, unlearning, predictions, metrics, gate, register)
        written = run(settings, paths, earlier or [], out, bundle)
        recorded.artifact(out)
        recorded.artifact(bundle)
    typer.echo(f"report: {out}")
    typer.echo(f"evidence: {bundle}, {written.size / 2**20:.1f} MiB, SHA-256 {written.sha256}")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
