"""Command line of the stage report."""

from contextlib import nullcontext
from pathlib import Path

import typer

from components.contract.params import Params
from components.contract.program import stage_program
from components.report.stage import STAGE, Arguments
from viker import tracking
from viker.core import console
from viker.core.files import sha256_bytes


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Write the evidence report, one HTML file to open, print, send or archive, and the bundle that proves it.

    The page shows the verdict with every rule, the request, the metrics with their intervals, the attacks, answers
    before and after, the key tokens, the training, and what it all was made from. It loads nothing and runs no script.

    With `report.redact` it holds no private value, no picture of a person and no ID. Without, it quotes the private
    answers that were to be forgotten: keep it as safe as the data itself.

    `viker verify` checks the bundle. Keep its SHA-256, which is printed here, where nobody can change it; or name a
    private key in VIKER_SIGNING_KEY, by which the bundle is signed.
    """
    from components.report.run import run
    from viker.data.requests import as_folder
    from viker.evidence.signature import sign_file
    from viker.report.load import Paths

    with (
        tracking.Stage("report", settings.values(), params, live=True) as recorded,
        nullcontext(args.requests) if args.pending is None else as_folder(args.pending) as folder,
    ):
        paths = Paths(
            params, args.prepared, folder, args.unlearning, args.predictions, args.metrics, args.gate, args.register
        )
        content = run(settings, paths, args.earlier or [], args.out, args.bundle)
        if settings.report.redact or not recorded.redact:
            recorded.artifact(args.out)
            recorded.artifact(args.bundle)
        else:
            typer.echo("not sent to MLflow: with report.redact false the report holds what register.publish leaves out")
        signature = sign_file(args.bundle)
    typer.echo(f"report: {args.out}")
    typer.echo(f"evidence: {args.bundle}, {len(content) / 2**20:.1f} MiB, SHA-256 {sha256_bytes(content)}")
    if signature is not None:
        typer.echo(f"signature: {signature}")


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
