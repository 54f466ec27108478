"""``python -m benchmarks.gate``: plant every failure; the gate must catch it, and let honest adapters pass."""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.errors import UserError
from viker.core.files import new_file, write_json


def command(
    params: ParamsOption = Path("params.yaml"),
    seeds: Annotated[str, typer.Option(help="Seeds of the honest adapters; failures are planted in the first.")] = (
        "7,8,9,10,11"
    ),
    only: Annotated[str, typer.Option(help="Plant only the failures whose names contain this.")] = "",
    work: Annotated[Path, typer.Option(help="Intermediate files; those that are there are used again.")] = Path(
        "work/gate"
    ),
    page: Annotated[Path, typer.Option(help="The page with the table.")] = Path("docs/gate.md"),
    measured: Annotated[Path, typer.Option(help="Metrics for the tests.")] = Path("tests/viker/gate/measured.json"),
) -> None:
    """Judge honest adapters of several seeds and every planted failure by the policy of params.yaml.

    Exits with 1 if an honest adapter fails or a failure is not caught by its rule. Takes about one minute per failure
    and six per seed on two cores. A stopped run resumes: what was made stays in *work* and is made again only for
    other parameters, data or code.
    """
    settings = load_params(params)
    from benchmarks.gate.failure_table import judged_on, row, table
    from benchmarks.gate.failures import FAILURES, caught
    from benchmarks.gate.honest import honest
    from benchmarks.gate.plant import plant

    trees = [honest(settings, int(seed), work / seed) for seed in seeds.split(",")]
    lines, metrics, problems = [], {}, []
    for tree in trees:
        verdict = tree.judge()
        name = f"honest, seed {tree.params.seed}"
        lines.append(row(name, "real adapter", verdict, None))
        metrics[name] = judged_on(tree)
        problems += [] if verdict["verdict"] == "pass" else [f"{name} does not pass"]
    for failure in [one for one in FAILURES if only in one.name]:
        tree = plant(failure, trees[0], work / "planted")
        verdict = tree.judge()
        lines.append(row(failure.name, failure.kind, verdict, failure.caught_by))
        if failure.lesson:
            metrics[failure.name] = judged_on(tree)
        problems += [] if caught(failure, verdict) else [f"'{failure.name}' is not caught by {failure.caught_by}"]
    text = table(lines)
    typer.echo(text)
    if not only:
        write_json(measured, metrics)
        put(text, "make bench-gate", page)
    if problems:
        raise UserError("; ".join(problems) + ".")


def put(text: str, name: str, page: Path) -> None:
    """Write a table into a page, in place of the one between the two marks of that name."""
    start, end = f"<!-- {name} -->\n", "<!-- end -->\n"
    before, mark, rest = page.read_text(encoding="utf-8").partition(start)
    if not mark or end not in rest:
        raise UserError(f"{page}: expected a line {start.strip()} and after it a line {end.strip()}.")
    with new_file(page) as temporary:
        temporary.write_text(before + start + "\n" + text + "\n\n" + end + rest.partition(end)[2], encoding="utf-8")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
