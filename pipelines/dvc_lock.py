"""DVC's file of locks, ``.dvc/tmp/rwlock``: repaired where a DVC that was killed has left it torn.

DVC empties the file before it writes it. Killed in between, it leaves no JSON, and every later run ends with
"JSON structure is corrupted". It also keeps what a killed run had locked, by process ID, which another program may have
got since.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from viker.core.errors import UserError
from viker.core.files import write_json

RWLOCK = Path(".dvc/tmp/rwlock")
PATIENCE = 10.0
"""Seconds that a DVC which is about to end is waited for."""


def repair(root: Path) -> str | None:
    """Take out of DVC's file of locks in the repository ``root`` what no living DVC wrote; return what was done.

    None: the file is sound, or there is none.

    Raises UserError: it is torn, and a DVC is running in this repository.
    """
    from dvc.lock import make_lock

    path = root / RWLOCK
    if not path.is_file():
        return None
    with make_lock(str(path.with_name("rwlock.lock")), tmp_dir=str(path.parent)):  # DVC writes the file under it
        locks = _parsed(path)
        if locks is None:
            if living := _lasting(root):
                raise UserError(
                    f"{path}: DVC's file of locks is torn, and DVC is running here (processes: "
                    f"{', '.join(map(str, sorted(living)))}). Wait for it or stop it, then run again."
                )
            path.unlink()
            return f"{path}: was torn by a DVC that was killed; removed, as no DVC is running here."
        kept = _of_living(locks, path.stat().st_mtime)
        if kept == locks:
            return None
        write_json(path, kept)
        return f"{path}: locks of a DVC that was killed were taken out; other programs have its process IDs now."


def dvc_processes(root: Path) -> Iterator[psutil.Process]:
    """Yield the living processes of DVC that work in ``root`` or below, without its daemon, which locks nothing."""
    for process in psutil.process_iter():
        try:
            here = Path(process.cwd()).is_relative_to(root.resolve())
            daemon = any("daemon" in one.cmdline()[:4] for one in (process, *process.children()))  # and its launcher
            words = [Path(word).name for word in process.cmdline()[:4]]
            if here and not daemon and "dvc" in words and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            continue


def _lasting(root: Path) -> list[int]:
    """Return the process IDs of DVC; none if there is none within ``PATIENCE``: one that ends leaves forks behind."""
    end = time.monotonic() + PATIENCE
    while living := [process.pid for process in dvc_processes(root)]:
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    return living


def _parsed(path: Path) -> dict[str, Any] | None:
    """Return the locks, {write: {path: holder}, read: {path: [holders]}}; None where it isn't that."""
    try:
        locks = json.loads(path.read_bytes())
        holders = [*locks.get("write", {}).values(), *(one for some in locks.get("read", {}).values() for one in some)]
        return {"write": {}, "read": {}} | locks if all(isinstance(one["pid"], int) for one in holders) else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _of_living(locks: dict[str, Any], written: float) -> dict[str, Any]:
    """Return the locks without those of process IDs that a zombie has, or a process that began after ``written``.

    DVC takes both for the holder: of a zombie, a process that was killed and whose parent hasn't looked yet, too.
    """

    def holds(holder: dict[str, Any]) -> bool:
        try:
            process = psutil.Process(holder["pid"])
            return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written
        except psutil.Error:
            return True  # nobody has the ID: DVC itself sees to that

    write = {path: one for path, one in locks.get("write", {}).items() if holds(one)}
    read = {path: [one for one in some if holds(one)] for path, some in locks.get("read", {}).items()}
    return {"write": write, "read": read}
