"""``viker benchmark``: benchmarks by name, of the vanilla and the unlearned model side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from components.contract.params import load_params
from pipelines.cli.ask import load_answerer
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.errors import UserError
from viker.core.files import write_json

LOST = 3
"""The exit status where more was lost than --least-kept allows, as of a failed gate."""


def benchmark(
    tasks: Annotated[
        list[str], typer.Argument(metavar="TASK", help="Names of lm-evaluation-harness, such as mmmu_val.")
    ],
    model: Annotated[
        str, typer.Option(help="champion, candidate, previous, a version, or the folder of an adapter.")
    ] = "models/adapter",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many questions of each task.")] = None,
    few_shot: Annotated[
        int | None, typer.Option(min=0, help="Examples before each question; default: as each task has it.")
    ] = None,
    chat: Annotated[bool, typer.Option(help="Ask in the model's chat template.")] = True,
    include: Annotated[Path | None, typer.Option(help="A folder of tasks of your own, in the harness's YAML.")] = None,
    least_kept: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Exit with 3 where a score is below this share of the vanilla model's."),
    ] = None,
    params: ParamsOption = Path("params.yaml"),
    vanilla: Annotated[Path, typer.Option(help="The vanilla model, for the folder of an adapter.")] = Path(
        "models/vanilla"
    ),
    out: Annotated[Path, typer.Option(help="All scores, as JSON.")] = Path("metrics/benchmarks.json"),
    as_json: JsonOption = False,
) -> None:
    """Score both models on benchmarks of lm-evaluation-harness: what else was lost?

    Needs `pip install 'viker[harness]'`, and a network or a filled cache of Hugging Face for data sets from the hub.
    The gate judges 48 questions of its own, which every evaluation asks; this is for what your users rely on.
    """
    from viker.evaluation.harness import Asking, lost, run_benchmarks

    settings = load_params(params)
    if include is not None and not include.is_dir():
        raise UserError(f"--include is '{include}': no such folder. Expected one with tasks in the harness's YAML.")
    answerer, name = load_answerer(settings, model, vanilla)
    asking = Asking(limit, few_shot, settings.evaluate.batch_size, chat, include)
    result = run_benchmarks(answerer.model, answerer.processor, tasks, asking, settings.seed)
    result |= {"model": name, "limit": limit, "few_shot": few_shot, "chat": chat}
    write_json(out, result)
    if as_json:
        say_json(result)
    else:
        Console().print(_table(result["tasks"]))
        typer.echo(f"{out}: {result['harness']}, {name}")
    if least_kept is not None and (fallen := lost(result["tasks"], least_kept)):
        typer.echo(f"lost: below {100 * least_kept:.0f} % of the vanilla model's: {'; '.join(fallen)}", err=True)
        raise typer.Exit(LOST)


def _table(tasks: Mapping[str, Any]) -> Table:
    table = Table("task", "score", "questions")
    for heading in ("vanilla", "unlearned", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for task, numbers in tasks.items():
        for name, score in numbers["scores"].items():
            cells = [_cell(score[model]) for model in ("vanilla", "unlearned")]
            about = f"{name.removesuffix(',none')}{'' if score['better'] != 'lower' else ' (lower is better)'}"
            table.add_row(task, about, str(numbers["samples"] or ""), *cells, f"{score['difference']:+.3f}")
    return table


def _cell(side: Mapping[str, Any]) -> str:
    return f"{side['value']:.3f}" + (f" ± {side['stderr']:.3f}" if side["stderr"] is not None else "")
