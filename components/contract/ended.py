"""How a run in an engine ended, by what its tasks noted on the volume that they share.

An engine's own state is not enough: Kubeflow says COMPLETE of a run whose gate failed, and RUNNING of one in which a
node was lost.
"""

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import read_json, write_json

NOTHING, PASSED, GATE_FAILED, FAILED = "nothing to do", "passed", "gate failed", "failed"
CANCELLED = ("CANCELLED", "CANCELED", "CANCELING")
"""States of an engine."""
REFUSALS = "refusals"
"""The file that counts them, in VIKER_TRACKING_DIR."""
KEPT = 30 * 24 * 3600
"""Seconds that notes, and the state of a task that never ended, are kept."""


def notes_of(run: str) -> Path | None:
    """Return the folder of a run's notes; None where no volume is shared (VIKER_TRACKING_DIR is not set)."""
    shared = os.environ.get("VIKER_TRACKING_DIR")
    return Path(shared) / "ended" / run if shared and run else None


def note(run: str, program: str, results: Mapping[str, Any], error: str = "") -> None:
    """Note how a task ended: its results, and what was wrong; a later attempt replaces the note."""
    folder = notes_of(run)
    if folder is not None:
        short = {name: value for name, value in results.items() if isinstance(value, str | int)}
        write_json(folder / f"{program}.json", {"results": short, "error": error})


def note_refusal() -> None:
    """Count a task that ended well though it was given something wrong: an engine's cache must not keep that."""
    if shared := os.environ.get("VIKER_TRACKING_DIR"):
        Path(shared).mkdir(parents=True, exist_ok=True)
        with (Path(shared) / REFUSALS).open("a", encoding="utf-8") as stream:
            stream.write(".")


def refusals() -> str:
    """Return how many there were: an input of the tasks that may refuse, so that each makes them run again."""
    file = Path(os.environ.get("VIKER_TRACKING_DIR", "")) / REFUSALS
    return str(file.stat().st_size if file.is_file() else 0)


def outcome(run: str, state: str) -> tuple[str, list[str]]:
    """Return what a run came to, and the errors that its tasks noted; ``state`` is the engine's, a last resort."""
    folder = notes_of(run)
    files = sorted(folder.glob("*.json")) if folder is not None and folder.is_dir() else []
    notes = {file.stem: read_json(file, "finish") for file in files}
    errors = [f"{program}: {one['error']}" for program, one in notes.items() if one["error"]]
    if errors:
        return FAILED, errors
    if "components.register.close" in notes:
        return PASSED, []
    if notes.get("components.register", {}).get("results", {}).get("gate_verdict") == "fail":
        return GATE_FAILED, []
    if notes.get("components.prepare.resolve", {}).get("results", {}).get("work") == "no":
        return NOTHING, []
    if state in CANCELLED:
        return FAILED, ["the run was cancelled"]
    if not notes and state in ("SUCCEEDED", "COMPLETE"):
        return PASSED, ["no notes of the tasks: only the engine's state is known, which says nothing of the gate"]
    last = max(files, key=lambda file: file.stat().st_mtime).stem if files else "no task"
    return FAILED, [f"a task was ended from outside, or its node was lost; the last that ended by itself: {last}"]


def remove_old(cache: Path) -> list[str]:
    """Remove what ended runs left on the volume long ago, and return the folders."""
    below = ("tracking/ended", "unlearn", "evaluate")
    folders = [folder for name in below for folder in sorted((cache / name).glob("*")) if folder.is_dir()]
    old = [folder for folder in folders if time.time() - _newest(folder) > KEPT]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return [str(folder.relative_to(cache)) for folder in old]


def _newest(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
