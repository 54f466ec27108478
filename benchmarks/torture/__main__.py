"""``python -m benchmarks.torture``: provoke faults and count what went wrong; exits with 1 if anything did."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.torture import network, pairs, signals, space
from benchmarks.torture.fuzz import fuzz
from benchmarks.torture.result import Count, count
from benchmarks.torture.tree import build
from viker.core.errors import UserError
from viker.core.files import write_json

KINDS = ("kills", "signals", "space", "pairs", "mlflow", "s3", "fuzz")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def torture(
    only: Annotated[str, typer.Option(help=f"Kinds, separated by commas: {', '.join(KINDS)}.")] = ",".join(KINDS),
    kills: Annotated[int, typer.Option(min=1, help="How many times SIGKILL is sent.")] = 60,
    examples: Annotated[int, typer.Option(min=1, help="How many inputs each loader is fed.")] = 2000,
    seed: Annotated[int, typer.Option(help="Decides the moments and the inputs.")] = 7,
    out: Annotated[Path, typer.Option(help="The counts, as JSON.")] = Path("docs/reliability/torture.json"),
) -> None:
    """Kill, starve, race and misfeed the pipeline on a small project, and count what went wrong.

    Needs root for the full and the read-only disks. Takes about an hour on two cores; a bar shows the progress.
    """
    chosen = only.split(",")
    if unknown := sorted(set(chosen) - set(KINDS)):
        raise UserError(f"--only: no kind {', '.join(unknown)}; expected {', '.join(KINDS)}.")
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        counts = list(_counts(chosen, folder, kills, examples, seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for one in counts:
        typer.echo(f"{one.kind}: {one.tried} tried, {len(one.failed)} with a fault")
    write_json(out, {"seed": seed, "counts": [asdict(one) for one in counts]})
    if any(one.failed for one in counts):
        raise typer.Exit(1)


def _counts(chosen: list[str], folder: Path, kills: int, examples: int, seed: int) -> "list[Count]":
    counts = []
    if set(chosen) != {"fuzz"}:
        reference = build(folder / "reference")
        cases = {
            "kills": lambda: signals.kills(reference, kills, seed),
            "signals": lambda: signals.terminations(reference, seed),
            "space": lambda: space.faults(reference),
            "pairs": lambda: pairs.races(reference),
            "mlflow": lambda: network.mlflow_faults(reference),
            "s3": lambda: network.s3_faults(reference),
        }
        counts += [count(kind, cases[kind]()) for kind in chosen if kind in cases]
    if "fuzz" in chosen:
        counts += fuzz(folder / "fuzz", examples, seed)
    return counts


if __name__ == "__main__":
    app()
