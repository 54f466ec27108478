"""``python -m components.prepare``: read or generate the benchmark, validate it, write the splits."""

from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from components.contract.params import Params
from components.contract.program import stage_program
from components.prepare.stage import STAGE, Arguments
from viker import tracking
from viker.core import console


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Prepare the data: forget, retain, test and real in one schema, validated by Great Expectations.

    The source is the key 'prepare.source': a benchmark's folder, a table of your own, s3://BUCKET/PREFIX,
    hf://OWNER/NAME or dvc+GIT#PATH with 'prepare.revision', or a .yaml to generate from.
    """
    from components.prepare.run import run
    from viker.data.forget_list import with_requests
    from viker.data.formats.base.format import formats
    from viker.gate.reachable import unreachable

    with tracking.Stage("prepare", settings.values(), params) as recorded:
        with with_requests(settings.prepare, args.requests) as section:
            manifest = run(section, settings.seed, args.out, args.validation, args.cache, args.cache)
        recorded.params({"prepare": section.model_dump(mode="json"), "seed": settings.seed})
        recorded.metrics({"rows": {split: counts["records"] for split, counts in manifest["counts"].items()}})
        recorded.data(args.out)
        recorded.artifact(args.out / "manifest.json")
        for name in ("index.html", "summary.json"):  # the Data Docs quote values
            recorded.artifact(args.validation / name, "validation")
    how = "recognised" if settings.prepare.format == "auto" else "as prepare.format says"
    typer.echo(f"{manifest['source']}: read as {formats()[manifest['format']].heading} ({how}).")
    console = Console(highlight=False, soft_wrap=True)
    table = Table("split", "people", "pictures", "questions", "checks passed")
    for split, checks in manifest["validation"]["suites"].items():
        counts = manifest["counts"].get(split, {})
        cells = [str(counts.get(name, "")) for name in ("people", "pictures", "records")]
        table.add_row(split, *cells, f"{checks['passed']} of {checks['expectations']}")
    console.print(table)
    excluded = ", ".join(f"{rule} {rows}" for rule, rows in manifest["excluded"].items())
    listed = f"{excluded}; listed in {args.out}/excluded.parquet" if excluded else "nothing"
    console.print(f"to forget:  {_origin(manifest, settings.prepare.forget_ids)}", markup=False)
    console.print(f"excluded:   {listed}", markup=False)
    for note in manifest.get("notes", ()):
        console.print(f"note:       {note}", markup=False)
    console.print(f"validation: {args.validation / 'index.html'}", markup=False)
    # The gate is not among what this stage reads: its outputs don't depend on it, so another gate makes nothing due.
    for problem in unreachable(settings.gate, args.out, settings.evaluate.in_force()):
        console.print(f"warning:    {problem}", markup=False)


def _origin(manifest: dict[str, Any], named: list[str]) -> str:
    if not manifest["forget_ids"]:
        gone = f", {len(manifest['gone'])} people of requests that are carried out are in no split"
        return f"nobody{gone}. The other stages have nothing to do until 'viker request add' names someone"
    if named:
        return "the people of prepare.forget_ids"
    requests = ", ".join(manifest["requests"])
    return f"the people of the requests {requests}" if requests else "the benchmark's own split, no request is pending"


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
