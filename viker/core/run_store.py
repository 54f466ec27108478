"""The store of a run under way: killed at any moment, the run resumes from what it holds."""

import errno
import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from viker.core.files import canonical, new_file, sha256_json, sha256_path, write_json, writing

INPUTS = "inputs.json"
RESULTS = "results.jsonl"
SEALS = "seals"
"""The folder with a file per entry: the hash of the whole entry, written after it. An entry without it is torn."""

log = logging.getLogger(__name__)


class RunStore:
    """A folder of results and entries (files or folders) of one run, keyed by everything that decides them.

    Results are JSON values, one line each as soon as they are computed. Entries count once they are sealed. A torn line
    or entry is never used. ``close`` removes the folder when the run is over. Until then no other process opens it.
    """

    def __init__(
        self, folder: Path, inputs: Mapping[str, Any], share: tuple[int, int] = (0, 1), lock: bool = True
    ) -> None:
        """Open ``folder`` for a run on ``inputs`` (JSON values), once no other process has it open.

        A folder that another run left is emptied, with a warning that names what differs. ``share``: (i, n), of the
        results that are asked for only every n-th is computed, from the i-th on; see ``leaves_out``. ``lock`` is False
        in the processes of a run beside the first, which has locked it for all.
        """
        self.folder, self.share = folder, share
        self._lock = _locked(folder) if lock else None
        self._places: dict[str, int] = {}
        now = json.loads(canonical(inputs))
        before = _read(folder / INPUTS)
        if before is not None and before != now:
            log.warning("%s: left by another run, starting over: %s", folder, "; ".join(differences(before, now)))
        if before != now:
            shutil.rmtree(folder, ignore_errors=True)
            write_json(folder / INPUTS, now)
        self.results: dict[str, Any] = dict(self._whole_lines())

    def result(self, of: Sequence[Any], compute: Callable[[], Any]) -> Any:
        """Return what ``compute`` returns, or what it returned for the same ``of`` earlier; both are JSON values."""
        key = sha256_json(list(of))
        if key not in self.results:
            self._keep(key, compute())
        return self.results[key]

    def leaves_out(self, of: Sequence[Any]) -> bool:
        """Return whether a result is in the share of another task; which, goes by the order in which they are asked."""
        place = self._places.setdefault(sha256_json(list(of)), len(self._places))
        return place % self.share[1] != self.share[0]

    def take_over(self, results: Mapping[str, Any]) -> None:
        """Use the results of a store on the same inputs; they are kept as if they had been computed here."""
        for key in sorted(results.keys() - self.results.keys()):
            self._keep(key, results[key])

    def _keep(self, key: str, value: Any) -> None:
        self.results[key] = value
        path = self.folder / RESULTS
        with writing(path), path.open("ab") as stream:
            stream.write(canonical([key, value]) + b"\n")

    def _whole_lines(self) -> list[Any]:
        """Return the results of the whole lines; torn ones are taken out of the file, with a warning."""
        path = self.folder / RESULTS
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        parsed = [(_parse(line) if line.endswith(b"\n") else None, line) for line in lines]
        whole = [(value, line) for value, line in parsed if _is_result(value)]
        if len(whole) < len(lines):
            log.warning("%s: torn lines, computed again: %d of %d", path, len(lines) - len(whole), len(lines))
            with new_file(path) as temporary:
                temporary.write_bytes(b"".join(line for _, line in whole))
        return [value for value, _ in whole]

    def entry(self, name: str) -> Path | None:
        """Return the path of an entry that is whole, or None; a torn one is removed with a warning."""
        path = self.folder / name
        if not path.exists():
            return None
        if _read(self._seal(name)) == sha256_path(path):
            return path
        log.warning("%s: torn, not used", path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return None

    def newest(self, prefix: str) -> Path | None:
        """Return the whole entry ``PREFIX-NUMBER`` with the highest number, or None."""
        numbers = [int(m[1]) for path in self.folder.iterdir() if (m := re.fullmatch(rf"{prefix}-(\d+)", path.name))]
        return next((path for n in sorted(numbers, reverse=True) if (path := self.entry(f"{prefix}-{n}"))), None)

    def seal(self, name: str) -> None:
        """Declare an entry whole as it lies there now."""
        write_json(self._seal(name), sha256_path(self.folder / name))

    def _seal(self, name: str) -> Path:
        return self.folder / SEALS / f"{name}.json"

    def close(self) -> None:
        """Remove the folder: the run is over."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            _lock_of(self.folder).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _locked(folder: Path) -> int:
    """Return the descriptor of the locked file beside ``folder``, after a wait where another process has it locked."""
    path = _lock_of(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):  # a file system without locks
                return handle
            log.warning("%s: another run is at work there; this one goes on when that has ended", folder)
            fcntl.lockf(handle, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(path.stat(), os.fstat(handle)):
            return handle
        os.close(handle)  # of a file that the run before removed when it ended


def differences(before: Mapping[str, Any], now: Mapping[str, Any], above: str = "") -> list[str]:
    """Return a phrase for each key whose value differs, ``KEY was A, is B``, sections in dotted keys."""
    phrases: list[str] = []
    for key in sorted({*before, *now}):
        old, new, name = before.get(key), now.get(key), f"{above}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            phrases += differences(old, new, f"{name}.")
        elif old != new:
            phrases.append(f"{name} was {old!r}, is {new!r}")
    return phrases


def _is_result(value: Any) -> bool:
    """Return whether a line's value is [key, result], the key a SHA-256."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and len(value[0]) == 64


def _read(path: Path) -> Any:
    return _parse(path.read_bytes()) if path.is_file() else None


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
