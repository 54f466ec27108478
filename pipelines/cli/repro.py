"""``viker repro``: what ``dvc repro`` does, fit for a person who watches, and for a schedule."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from components.contract.stages import stages
from pipelines.dvc_lock import repair
from pipelines.dvc_plan import due, estimate, remember
from pipelines.dvc_run import LOG, Lines, run_dvc
from viker.core.console import say
from viker.core.errors import UserError
from viker.core.manifest import read_manifest

PARAMS = Path("params.yaml")


def repro(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that DVC and the stages print, in place of a line each.")
    ] = False,
) -> None:
    """Run the stages that are due, as `dvc repro` does; end well after *prepare* where nobody is to be forgotten.

    Prints which stages may run and how long they took last time, then a line for each; what else they print is in
    *work/repro/log.txt*, and on the console where one fails. What a killed DVC left behind in *.dvc/tmp/rwlock* is
    repaired first. Afterwards what holds records of people, DVC's cache included, is readable by its owner alone,
    whatever permissions DVC gives to what it checks out.
    """
    root = next((folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".dvc").is_dir()), None)
    if root is None:
        raise UserError(f"{Path.cwd()} is not a DVC repository. Run in the project's root, or 'dvc init' first.")
    if repaired := repair(root):
        say(repaired)
    try:
        _repro(root, verbose)
    finally:
        protect(root)


def protect(root: Path) -> None:
    """Take from group and others what they may do with DVC's cache and with outputs that hold records of people."""
    outputs = [
        root / what.path for stage in stages().values() for what in stage.outputs().values() if what.personal.readable
    ]
    cache = root / ".dvc/cache"
    inside = (path for out in outputs if out.is_dir() for path in out.rglob("*"))
    for path in (cache, *outputs, *inside):
        if path.exists() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)


def _repro(root: Path, verbose: bool) -> None:
    if verbose:
        dvc = [sys.executable, "-m", "dvc"]
        _in_two(lambda said: subprocess.run([*dvc, *said], check=False).returncode)  # noqa: S603 - this interpreter's DVC, no shell
        return
    pending = due(root)
    if pending:
        params = load_params(PARAMS) if PARAMS.is_file() else None
        say(f"To run: {', '.join(pending)}\n{estimate(root, pending, params)}")
    else:
        say("Every stage is up to date: nothing to run.")
    lines = Lines(pending)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    try:
        with LOG.open("w", encoding="utf-8", buffering=1) as log:
            _in_two(lambda arguments: run_dvc(arguments, lines, log))
    finally:
        remember(root, lines.times)


def _in_two(dvc: Callable[[list[str]], int]) -> None:
    """Run prepare, then the rest if anybody is to be forgotten; ``dvc`` takes arguments and returns the exit code."""
    for arguments in (["repro", "prepare"], ["repro"]):
        if code := dvc(arguments):
            raise typer.Exit(code)
        prepared = Path(stages()["prepare"].outputs()["out"].path)
        if not read_manifest(prepared)["forget_ids"]:
            say(
                f"Nobody is to be forgotten: no request is pending. {prepared} is up to date; the other stages don't "
                "run."
            )
            return
