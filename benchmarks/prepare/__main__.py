"""``python -m benchmarks.prepare``: prepare, of new and of known pictures, versus a plain copy of the same bytes."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from benchmarks.prepare.data import write
from benchmarks.timing import seconds
from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.peak_memory import peak_bytes


def command(
    params: ParamsOption = Path("params.yaml"),
    rows: Annotated[int, typer.Option(help="People, with a picture of about 100 kB each.")] = 20_000,
    runs: Annotated[int, typer.Option(help="Times that each is timed, in turn.")] = 3,
    work: Annotated[Path, typer.Option(help="Where the data goes; made once for each number of rows.")] = Path("work"),
    one: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Time prepare against reading and writing the same Parquet with pyarrow, and measure its peak memory.

    Once with pictures that are new to it, and once more with their fingerprints at hand.
    """
    data = work / f"prepare-{rows}"
    if one is not None:
        _prepare(params, data, one)
        return
    if not (data / "ft_Data").is_dir():
        write(data, rows)
    ratios: dict[str, list[float]] = {"new": [], "seen": []}
    peaks = []
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        for run in range(runs):
            out = Path(folder) / str(run)
            for kind, of_kind in ratios.items():
                copied = seconds(lambda: _copy(data, Path(folder) / "copy"))
                arguments = ["--params", params, "--rows", str(rows), "--work", work, "--one", out]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.prepare", *map(str, arguments)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                figures = json.loads(done.stdout.splitlines()[-1])
                of_kind.append(figures["seconds"] / copied)
                peaks.append(figures["peak_mib"])
                parts = ", ".join(f"{name} {part / copied:.2f}" for name, part in figures["parts"].items())
                typer.echo(
                    f"run {run + 1}, {kind}: prepare / copy {of_kind[-1]:.2f} ({parts}; {figures['cpu_seconds']:.1f} "
                    f"CPU seconds); peak {peaks[-1]:.0f} MiB"
                )
    for kind, of_kind in ratios.items():
        low, middle, high = min(of_kind), statistics.median(of_kind), max(of_kind)
        typer.echo(f"prepare / copy of {rows} rows, {kind} pictures: {middle:.2f} ({low:.2f} to {high:.2f})")
    typer.echo(f"peak {max(peaks):.0f} MiB")


def _prepare(params: Path, data: Path, out: Path) -> None:
    settings = load_params(params)
    from components.prepare import run as stage

    changes = {"source": str(data), "format": "mllmu", "forget_ids": [], "requests": str(out / "none")}
    section = settings.prepare.model_copy(update=changes)
    parts: dict[str, float] = {}
    for name in ("validate",):
        setattr(stage, name, _timed(getattr(stage, name), parts, name))
    before = time.process_time()
    took = seconds(lambda: stage.run(section, settings.seed, out / "prepared", out / "validation", known=out))
    spent, peak = time.process_time() - before, peak_bytes() / 2**20
    figures = {"seconds": took, "cpu_seconds": spent, "peak_mib": peak, "parts": parts}
    print(json.dumps(figures))


def _timed(work: Callable[..., object], parts: dict[str, float], name: str) -> Callable[..., object]:
    def timed(*arguments: object) -> object:
        start = time.perf_counter()
        result = work(*arguments)
        parts[name] = time.perf_counter() - start
        return result

    return timed


def _copy(data: Path, out: Path) -> None:
    """Read and write what prepare reads, row group by row group."""
    out.mkdir(exist_ok=True)
    for number, path in enumerate(sorted(data.rglob("*.parquet"))):
        with pq.ParquetFile(path) as source, pq.ParquetWriter(out / f"{number}.parquet", source.schema_arrow) as copy:
            for batch in source.iter_batches(batch_size=64):
                copy.write_batch(batch)


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
