"""``python -m benchmarks.torture``: provoke faults and count what went wrong; exits with 1 if anything did."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.torture import network, pairs, signals, space
from benchmarks.torture.fuzz import fuzz
from benchmarks.torture.result import Count, count
from benchmarks.torture.tree import build
from viker.core.errors import UserError
from viker.core.files import write_json

KINDS = ("kills", "signals", "space", "pairs", "mlflow", "s3", "fuzz")
RESULTS = Path("docs/reliability/torture.json")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def torture(
    only: Annotated[str, typer.Option(help=f"Kinds, separated by commas: {', '.join(KINDS)}.")] = ",".join(KINDS),
    kills: Annotated[int, typer.Option(min=1, help="How many times SIGKILL is sent.")] = 60,
    examples: Annotated[int, typer.Option(min=1, help="How many inputs each loader is fed.")] = 2000,
    seed: Annotated[int, typer.Option(help="Decides the moments and the inputs.")] = 7,
    out: Annotated[Path, typer.Option(help="The counts, as JSON; those of other kinds in it stay.")] = RESULTS,
) -> None:
    """Kill, starve, race and misfeed the pipeline on a small project, and count what went wrong.

    Needs root for the full and the read-only disks. Takes about an hour on two cores; a bar shows the progress.
    """
    chosen = only.split(",")
    if unknown := sorted(set(chosen) - set(KINDS)):
        raise UserError(f"--only: no kind {', '.join(unknown)}; expected {', '.join(KINDS)}.")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would all
    counts = _before(out)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        for one in _counts(chosen, folder, kills, examples, seed):
            typer.echo(f"{one.kind}: {one.tried} tried, {len(one.failed)} with a fault")
            counts[one.kind] = {"seed": seed, **asdict(one)}
            write_json(out, {"counts": list(counts.values())})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if any(one["failed"] for one in counts.values()):
        raise typer.Exit(1)


def _before(out: Path) -> dict[str, dict[str, Any]]:
    """Return the counts that a file of results holds, by kind; nothing if there is no file."""
    return {one["kind"]: one for one in json.loads(out.read_text(encoding="utf-8"))["counts"]} if out.exists() else {}


def _counts(chosen: list[str], folder: Path, kills: int, examples: int, seed: int) -> Iterator[Count]:
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
        yield from (count(kind, cases[kind]()) for kind in chosen if kind in cases)
    if "fuzz" in chosen:
        yield from fuzz(folder / "fuzz", examples, seed)


if __name__ == "__main__":
    app()
