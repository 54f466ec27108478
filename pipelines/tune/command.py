"""``viker tune``: searches for settings of unlearn that pass the gate and keep most."""

from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from rich.console import Console

from components.contract.params import load_params
from components.gate.__main__ import FAILED
from pipelines.cli.profile import change_params
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.errors import UserError


def tune(
    params: ParamsOption = Path("params.yaml"),
    trial_count: Annotated[int, typer.Option("--trials", min=1, help="How many trials the study is to have.")] = 12,
    apply: Annotated[bool, typer.Option("--apply", help="Write the values found into params.yaml.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Search for settings of unlearn that pass the gate and keep most.

    What is searched is the section `tune` of params.yaml; the first trial has the values that params.yaml has now. A
    trial trains an adapter and measures two probes after each epoch: how likely private values of the forget set still
    are, and how far answers about others moved from the vanilla model's. Trials that another outdoes are pruned. The
    best are evaluated in full and judged by the gate, and the one that passes and keeps most is printed as lines of
    params.yaml.

    The prepared data, irrelevant images and vanilla model of the work tree are used as they are, and everything is
    written to *work/tune*: the study, the table, the frontier as a plot and a page. Stopped or killed, the same
    command resumes where it left off; with more `--trials` it searches further. Where the policy judges what the data
    don't ask, or the vanilla model knows too little of the people to forget, no trial could pass, and the search
    doesn't start. Exit codes: 0 found, 3 no finalist passes the gate, 1 an error.
    """
    from pipelines.tune.run import Tuning, as_json_values, lines_of, nested
    from pipelines.tune.verdicts import chosen

    base = load_params(params)
    tuning = Tuning(params, base, Console(highlight=False, stderr=as_json))
    try:
        with FileLock(tuning.folder / ".lock", timeout=0):
            found = tuning.run(trial_count)
    except Timeout:
        raise UserError(f"{tuning.folder}: another 'viker tune' is at work there. Wait until it has ended.") from None
    except KeyboardInterrupt:
        typer.echo("stopped; the study is kept: run the same command again to resume it", err=True)
        raise typer.Exit(130) from None
    best = chosen(found["finalists"])
    lines = lines_of(best.trial.values) if best else ""
    if best and apply:
        changed = change_params(params, nested(best.trial.values), "tune")
        tuning.console.print(f"{params}: {', '.join(changed) or 'has these values already'}", soft_wrap=True)
    if as_json:
        say_json(as_json_values(found, best, lines))
    else:
        tuning.show(found, best, lines, apply)
    if best is None:
        raise typer.Exit(FAILED)
