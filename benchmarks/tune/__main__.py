"""``python -m benchmarks.tune``: does ``viker tune`` find a passing adapter for people and a model of one's own?"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from ruamel.yaml import YAML

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app

ROOT = Path(__file__).parents[2]


def command(
    data: Annotated[Literal["own", "tofu"], typer.Argument(help="20 invented people, or 80 of TOFU.")],
    params: ParamsOption = Path("params.yaml"),
    text: Annotated[Path, typer.Option(help="TOFU's text, a folder.")] = Path("../shared/data/tofu"),
    trials: Annotated[int, typer.Option(min=1, help="Trials of the study.")] = 12,
    work: Annotated[Path, typer.Option(help="A folder per data set; what is there is used again.")] = Path("work/tune"),
) -> None:
    """Write the people's table, train a model that knows them, and run a study with the defaults of params.yaml.

    Exits with 3 if no adapter passes the gate.
    """
    settings, work = load_params(params), (work / data).absolute()
    from benchmarks.tune.model import train_model
    from benchmarks.tune.people import read_people, write_table

    people = read_people(data, text, settings.seed)
    write_table(people, work / "data/people")
    for name in ("dvc.yaml", "viker", "components", "pipelines"):
        if not (work / name).exists():
            (work / name).symlink_to(ROOT / name)
    yaml = YAML()
    values = yaml.load(params)
    values["prepare"]["source"] = "data/people"
    values["finetune"]["deployed_model"] = "models/deployed"
    yaml.dump(values, work / "params.yaml")
    _in(work, "prepare")
    if not (work / "models/deployed").exists():
        train_model(people, work / "data/prepared", settings.seed, settings.threads, work / "models/deployed")
    _in(work, "finetune")
    _in(work, "sample")
    raise SystemExit(_run(work, "tune", "--trials", str(trials)))


def _in(work: Path, stage: str) -> None:
    if code := _run(work, stage):
        raise SystemExit(code)


def _run(work: Path, *words: str) -> int:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli.main", *words], cwd=work, env=os.environ | {"PYTHONPATH": path}
    )
    return done.returncode


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
