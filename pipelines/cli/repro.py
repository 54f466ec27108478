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

    What a killed DVC left behind in *.dvc/tmp/rwlock* is repaired first. Afterwards what holds records of people, DVC's
    cache included, is readable by its owner alone, whatever permissions DVC gives to what it checks out.
    """
    root = next((folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".dvc").is_dir()), None)
    if root is None:
        raise UserError(f"{Path.cwd()} is not a DVC repository. Run in the project's root, or 'dvc init' first.")
    if repaired := repair(root):
        say(repaired)
    try:
        _repro()
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


def _repro() -> None:
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
