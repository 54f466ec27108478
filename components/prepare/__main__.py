"""``python -m components.prepare``: read or generate the benchmark, validate it, write the splits."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.common import cli
from components.common.cli import ParamsOption, stage_app
from components.common.params import load_params


def command(
    params: ParamsOption = Path("params.yaml"),
    out: Annotated[Path, typer.Option(help="The splits, pictures and manifest.")] = Path("data/prepared"),
    validation: Annotated[Path, typer.Option(help="Data Docs of the validation.")] = Path("validation"),
) -> None:
    """Prepare the data: forget, retain, test and real in one schema, validated by Great Expectations.

    The source is the key 'prepare.source': a folder in the format of MLLMU-Bench or CLEAR, or a .yaml description to
    generate from.
    """
    settings = load_params(params)
    from components.prepare.run import run

    manifest = run(settings.prepare, settings.seed, out, validation)
    typer.echo(f"{manifest['source']}: read as {manifest['format']}.")
    table = Table("split", "people", "pictures", "questions")
    for split, counts in manifest["counts"].items():
        table.add_row(split, *(str(counts[name]) for name in ("people", "pictures", "records")))
    Console().print(table)


app = stage_app(command)

if __name__ == "__main__":
    cli.run(app)
