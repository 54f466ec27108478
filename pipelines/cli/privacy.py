"""``viker privacy``: what is kept of people, where and for how long."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.contract.params import load_params
from components.privacy.places import Place, places
from viker.core.console import ParamsOption, command_group

app = command_group("What is kept of people: where, whose, and for how long.")


@app.command(name="map")
def show_map(
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Print each place of the work tree with what it holds of people, for how long, and where copies go.

    The stages declare it of what they write. `viker purge` removes what is kept until then.
    """
    rows = places(load_params(params))
    if as_json:
        typer.echo(json.dumps([_row(place) for place in rows], indent=2, ensure_ascii=False))
        return
    table = Table("place", "made by", "of whom", "what", "kept", "copies go to")
    for place in rows:
        row = _row(place)
        cells = [", ".join(cell) if isinstance(cell, list) else str(cell) for cell in row.values()]
        table.add_row(
            *(Text(cell, overflow="fold") for cell in cells), style="" if row["of_whom"] != "nobody" else "dim"
        )
    Console().print(table)


def _row(place: Place) -> dict[str, object]:
    personal = place.personal
    return {
        "place": str(place.path),
        "made_by": place.made_by,
        "of_whom": personal.whose,
        "what": personal.what,
        "kept": personal.kept,
        "copies": list(personal.copies) if personal.whose != "nobody" else [],
    }
