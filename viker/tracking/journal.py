"""The outbox: what stages have to tell MLflow, on disk until it has arrived. A folder a stage that ran.

``records.jsonl`` holds a record a line; the first, the head, says which runs it is about, from the outermost to the
stage's own. ``files`` holds the files that go along. ``sent.json`` is the sender's bookmark. Whoever writes the
records holds a lock on them: without that lock and without a last record the stage was killed.
"""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from viker.tracking.redact import redacted

RECORDS, FILES, SENT, LOCK = "records.jsonl", "files", "sent.json", "lock"
OUTBOX = Path("work/tracking/outbox")
SAFE = re.compile(r"[^\w. /:-]", re.ASCII)
"""The characters that MLflow does not take in the name of a metric or parameter."""


def outbox() -> Path:
    """Return the outbox: in the folder VIKER_TRACKING_DIR, such as a volume that tasks share, or in the work tree."""
    folder = os.environ.get("VIKER_TRACKING_DIR")
    return Path(folder) / "outbox" if folder else OUTBOX


def now() -> int:
    """Return the time in MLflow's unit, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Journal:
    """The records of one stage that runs, open for writing."""

    def __init__(self, folder: Path, head: Mapping[str, Any]) -> None:
        """Begin a new folder with its head.

        Raises:
            OSError: it can't be written.
        """
        self.folder = folder
        folder.mkdir(parents=True)
        self._stream = os.open(folder / RECORDS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._stream, fcntl.LOCK_EX)
        self._files = 0
        self.add(head)

    def add(self, record: Mapping[str, Any]) -> None:
        """Append one record, without secrets; it is whole in the file or not there."""
        append(self._stream, record)

    def keep(self, path: Path) -> str:
        """Keep a file or folder as it is now, and return its place in the folder.

        A link where the file system can: stages put new files in place of old ones and never write into them.
        """
        self._files += 1
        target = self.folder / FILES / f"{self._files:03d}" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, copy_function=_link)
        else:
            _link(path, target)
        return target.relative_to(self.folder).as_posix()

    def close(self) -> None:
        """Let go of the lock: nothing more will be written."""
        os.close(self._stream)


def append(stream: int, record: Mapping[str, Any]) -> None:
    """Write one record at the end of an open file."""
    os.write(stream, (json.dumps(redacted(record), ensure_ascii=False, default=str) + "\n").encode())


def waiting(folder: Path) -> list[Path]:
    """Return the journals in an outbox, oldest first; those that had arrived are removed on the way."""
    found = []
    for path in sorted(folder.glob("*/")):
        if read_sent(path).get("arrived"):
            shutil.rmtree(path, ignore_errors=True)
        elif (path / RECORDS).exists():
            found.append(path)
    return found


def records(folder: Path, offset: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each whole record from the byte ``offset`` on, with the offset after it."""
    with (folder / RECORDS).open("rb") as stream:
        stream.seek(offset)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            with suppress(ValueError):  # torn by a full disk: the next ones are whole again
                yield json.loads(line), offset


def read_sent(folder: Path) -> dict[str, Any]:
    """Return the sender's bookmark; empty where there is none yet."""
    try:
        value = json.loads((folder / SENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_sent(folder: Path, value: Mapping[str, Any]) -> None:
    """Replace the sender's bookmark."""
    temporary = folder / f".{SENT}"
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(folder / SENT)


def is_open(folder: Path) -> bool:
    """Return whether the stage that writes the journal is still alive."""
    with _locked(folder / RECORDS) as free:
        return not free


@contextmanager
def sending(folder: Path) -> Iterator[bool]:
    """Take the right to send a journal for the block; False where another sender has it."""
    (folder / LOCK).touch()
    with _locked(folder / LOCK) as free:
        yield free


def alive(folder: Path) -> None:
    """Leave a sign that the sender goes on; it also leaves one with each bookmark."""
    os.utime(folder / LOCK)


def last_sign(folder: Path) -> float:
    """Return when the sender of a journal last showed that it goes on, seconds since 1970; 0 for never."""
    found = [0.0]
    for path in (folder / SENT, folder / LOCK):
        with suppress(OSError):
            found.append(path.stat().st_mtime)
    return max(found)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
