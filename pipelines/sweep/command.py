"""``viker sweep``: runs every combination of some parameters and compares them."""

import csv
import itertools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML, YAMLError

from components.contract.params import load_params
from pipelines.sweep.plan import Combination, Stage, combinations, reached, read_stages
from pipelines.sweep.run import Sweep
from viker import tracking
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.errors import UserError
from viker.core.files import new_file, sha256_json
from viker.core.nested import flatten
from viker.gate.rules import look_up
from viker.tracking.identity import settings

FORGET, RETAIN = "unlearned.forget.leakage_rate", "unlearned.retain.leakage_rate"
COLUMNS = {
    FORGET: "forget leakage",
    "unlearned.test.leakage_rate": "test leakage",
    RETAIN: "retain accuracy",
    "unlearned.retain.rouge_l": "retain ROUGE-L",
    "unlearned.fluency.gibberish_rate": "gibberish",
}


def sweep(
    params: ParamsOption = Path("params.yaml"),
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-S", metavar="NAME=VALUE,VALUE", help="Values to try, instead of params.yaml's section 'sweep'."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many combinations run at a time.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run every combination of the values in the section `sweep` of params.yaml, or of `--set`, and compare them.

    Such as `viker sweep -S unlearn.method.lambda=0.5,1,2 -S seed=7,8 --jobs 2`. A stage that no swept value reaches
    runs once for all, in the work tree, by `dvc repro`; the others run in *work/sweep*, once per distinct inputs.
    Started again, the sweep resumes where it stopped and runs only what is new.

    Every combination is a run in MLflow below the run of the sweep, which has the table and the plot of forgetting
    versus retention. Nothing is registered: set the values that you choose in params.yaml and run `dvc repro`.
    """
    base = load_params(params)
    lists = dict(map(_parse, change)) if change else dict(base.sweep)
    combined = combinations(params, lists)
    root = params.resolve().parent
    stages = read_stages(root)
    affected = reached(stages, lists)
    # With --json, what is said on the way goes to standard error.
    _run_shared(root, [stage for stage in stages if stage not in affected], out=2 if as_json else None)

    console = Console(highlight=False, stderr=as_json)
    if any(key.startswith(("evaluate.protocol", "evaluate.max_new_tokens")) for key in lists):
        console.print("warning: combinations of different protocols are asked differently: don't compare their numbers")
    key = sweep_key(settings(base.values()), list(lists))
    with tracking.Stage("sweep", base.values(), params, live=True, sweep=key) as run:
        run.tags({f"sweep.{name}": values for name, values in lists.items()})
        runner = Sweep(root, key, stages)
        number = itertools.count(1)

        def report(combination: Combination, result: Mapping[str, Any]) -> None:
            outcome = result.get("error") or f"forget leakage {look_up(result['metrics'], FORGET):.3f}"
            line = f"{next(number)} of {len(combined)}  {combination.name}: {outcome}"
            console.print(line, markup=False, soft_wrap=True)

        results = runner.run(combined, jobs, report)
        rows = list(_rows(combined, results))
        out = runner.folder / key[:8]
        _write(out, rows)
        for file in sorted(out.iterdir()):
            run.artifact(file)
        run.metrics({"combinations": len(rows), "failed": sum("error" in result for result in results)})
    failed = [combination.name for combination, result in zip(combined, results, strict=True) if "error" in result]
    if as_json:
        say_json({"combinations": rows, "failed": failed, "folder": str(out)})
    else:
        console.print(_table(rows))
        console.print(f"table and plot: {out}/results.csv, {out}/pareto.png", markup=False, soft_wrap=True)
    if failed:
        raise UserError(f"{len(failed)} of {len(combined)} combinations failed, see above: {', '.join(failed)}.")


def _parse(change: str) -> tuple[str, list[Any]]:
    key, equals, text = change.partition("=")
    try:
        values = YAML(typ="safe", pure=True).load(f"[{text}]")
    except YAMLError:
        values = None
    if not key or not equals or not values:
        raise UserError(f"--set is '{change}': expected NAME=VALUE,VALUE, such as unlearn.method.lambda=0.5,1,2.")
    return key.strip(), values


def sweep_key(values: Mapping[str, Any], swept: Sequence[str]) -> str:
    """Return the key of the sweep's run: more values of the same keys belong to the same sweep."""
    prefixes = tuple(f"{key}." for key in swept)
    others = {path: value for path, value in flatten(values).items() if not f"{path}.".startswith(prefixes)}
    return sha256_json(["sweep", sorted(swept), others])


def _run_shared(root: Path, shared: Sequence[Stage], out: int | None) -> None:
    """Run the stages that all combinations share in the work tree itself; ``out``: where what they print goes."""
    names = " ".join(stage.name for stage in shared)
    if shared and (root / ".dvc").is_dir():
        code = subprocess.call([sys.executable, "-m", "dvc", "repro", *names.split()], cwd=root, stdout=out)  # noqa: S603 - this interpreter's DVC and names of stages, no shell
        if code:
            raise UserError(f"'dvc repro {names}' exited with {code}: fix what it reports, then start the sweep again.")
    elif not all((root / out).exists() for stage in shared for out in stage.outs):
        raise UserError(f"{root}: not a DVC repository, and the outputs of {names} are missing. Run 'dvc init' first.")


def _rows(combined: Sequence[Combination], results: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one row per combination: swept values, metrics, verdict, and whether it is on the Pareto front."""
    points = [tuple(look_up(result.get("metrics", {}), path) for path in (FORGET, RETAIN)) for result in results]
    measured = [(f, r) for f, r in points if f is not None and r is not None]
    front = [one for one in measured if not any(f <= one[0] and r >= one[1] and (f, r) != one for f, r in measured)]
    for combination, result, point in zip(combined, results, points, strict=True):
        values = {heading: look_up(result.get("metrics", {}), path) for path, heading in COLUMNS.items()}
        verdict = result.get("gate", {}).get("verdict", "error")
        yield {**combination.swept, **values, "verdict": verdict, "pareto": point in front}


def _write(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from pipelines.sweep.plot import pareto

    with new_file(out / "results.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with new_file(out / "pareto.png") as temporary:
        pareto(rows, COLUMNS[FORGET], COLUMNS[RETAIN], temporary)


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the results as a table; a star marks the Pareto front."""
    table = Table(title="★ no other combination leaks less of forget and keeps more of retain", title_justify="left")
    metrics = COLUMNS.values()
    for key in list(rows[0])[:-1]:
        table.add_column(key.rpartition(".")[2], justify="right" if key in metrics else "left")
    for row in rows:
        swept = [str(value) for key, value in row.items() if key not in (*metrics, "verdict", "pareto")]
        measured = ["–" if row[key] is None else f"{row[key]:.3f}" for key in metrics]
        table.add_row(*swept, *measured, f"{row['verdict']} ★" if row["pareto"] else row["verdict"])
    return table
