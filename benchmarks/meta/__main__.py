"""``python -m benchmarks.meta``: which metrics and attacks tell a model that knows from one that never knew."""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.files import read_json, write_json


def command(
    params: ParamsOption = Path("params.yaml"),
    size: Annotated[int, typer.Option(min=1, help="Models in each of the two pools.")] = 12,
    work: Annotated[Path, typer.Option(help="Models and measurements; those that are there are used again.")] = Path(
        "work/meta"
    ),
    page: Annotated[Path, typer.Option(help="The page with the table.")] = Path("docs/gate.md"),
    measured: Annotated[Path, typer.Option(help="All numbers, for the tests.")] = Path("tests/viker/gate/meta.json"),
) -> None:
    """Train two pools of models, ask and attack each, and write how well every number tells them apart.

    Takes about five minutes per model on one core. A stopped run resumes with the model it stopped at.
    """
    settings = load_params(params)
    from benchmarks.gate.__main__ import put
    from benchmarks.meta.auc import evaluated, table
    from benchmarks.meta.measure import measure_model
    from benchmarks.meta.pools import REFERENCES, make_data, make_member, pools

    data, images, start = make_data(settings, work)
    found = {}
    members = pools(size)
    for member in (*REFERENCES, *members):
        if not (work / member.name).exists():
            make_member(settings, member, data, start, work / member.name)
    vanilla, retrained = (work / one.name for one in REFERENCES)
    for member in members:
        numbers = work / f"{member.name}.json"
        if not numbers.exists():
            write_json(numbers, measure_model(settings, data, images, work / member.name, (vanilla, retrained)))
        found[member.name] = read_json(numbers, "bench-meta")
    rows = evaluated(found)
    write_json(measured, {"models": size, "rows": rows})
    text = table(rows)
    typer.echo(text)
    put(text, "make bench-meta", page)


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
