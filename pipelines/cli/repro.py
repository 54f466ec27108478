"""``viker repro``: what ``dvc repro`` does, fit for a schedule."""

import subprocess
import sys
from pathlib import Path

import typer

from components.contract.stages import stages
from pipelines.dvc_lock import repair
from viker.core.console import say
from viker.core.errors import UserError
from viker.core.files import read_json


def repro() -> None:
    """Run the stages that are due, as `dvc repro` does; end well after *prepare* where nobody is to be forgotten.

    What a killed DVC left behind in *.dvc/tmp/rwlock* is repaired first.
    """
    root = next((folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".dvc").is_dir()), None)
    if root is None:
        raise UserError(f"{Path.cwd()} is not a DVC repository. Run in the project's root, or 'dvc init' first.")
    if repaired := repair(root):
        say(repaired)
    _dvc("repro", "prepare")
    prepared = Path(stages()["prepare"].outputs()["out"].path)
    if not read_json(prepared / "manifest.json", "prepare")["forget_ids"]:
        say(f"Nobody is to be forgotten: no request is pending. {prepared} is up to date; the other stages don't run.")
        return
    _dvc("repro")


def _dvc(*arguments: str) -> None:
    code = subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False).returncode  # noqa: S603 - no shell
    if code:
        raise typer.Exit(code)
