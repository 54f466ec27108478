"""The outbox: what stages recorded, on disk until MLflow has it. One folder, a journal, per stage run.

``records.jsonl`` holds one record per line; the first names the runs it is about, from the outermost to the stage's
own. ``files`` holds the artifacts. The stage holds a lock on its records: without that lock and without a last record
it was killed.
"""

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from viker.core.redact import redacted

RECORDS, FILES = "records.jsonl", "files"
OUTBOX = Path("work/tracking/outbox")


def outbox() -> Path:
    """Return the outbox: in the folder VIKER_TRACKING_DIR, such as a volume that tasks share, or in the work tree."""
    folder = os.environ.get("VIKER_TRACKING_DIR")
    return Path(folder) / "outbox" if folder else OUTBOX


def create(journal: Path, head: Mapping[str, Any]) -> int:
    """Create a journal with its first record and return the locked stream to append to.

    Raises:
        OSError: it can't be written.
    """
    journal.mkdir(parents=True)
    stream = os.open(journal / RECORDS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    fcntl.flock(stream, fcntl.LOCK_EX)
    append(stream, head)
    return stream


def append(stream: int, record: Mapping[str, Any]) -> None:
    """Append one record with the time, in milliseconds since 1970 as MLflow has it, and without secrets."""
    line = json.dumps({"time": time.time_ns() // 1_000_000, **redacted(record)}, ensure_ascii=False, default=str)
    os.write(stream, f"{line}\n".encode())  # in one write: it is complete in the file or not there


def keep(journal: Path, path: Path) -> str:
    """Keep a file or folder as it is now and return its path in the journal.

    A hard link where the file system can: stages replace files and never write into them.
    """
    (journal / FILES).mkdir(exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=journal / FILES)) / path.name
    if path.is_dir():
        shutil.copytree(path, target, copy_function=_link)
    else:
        _link(path, target)
    return target.relative_to(journal).as_posix()


def waiting(folder: Path) -> list[Path]:
    """Return the journals in an outbox, oldest first."""
    return sorted(path.parent for path in folder.glob(f"*/{RECORDS}"))


def records(journal: Path, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each complete record from the byte ``offset`` on, with the offset after it."""
    with (journal / RECORDS).open("rb") as stream:
        stream.seek(offset)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            with suppress(ValueError):  # torn by a full disk: the next ones are complete again
                yield json.loads(line), offset


def is_open(journal: Path) -> bool:
    """Return whether the stage that writes the journal is still running."""
    with (journal / RECORDS).open("rb") as stream:
        return not _lock(stream)


def remove(journal: Path) -> None:
    """Remove a journal that has arrived, its records last: cut off before that, it is published once more."""
    shutil.rmtree(journal / FILES, ignore_errors=True)
    shutil.rmtree(journal, ignore_errors=True)


@contextmanager
def publishing(folder: Path, patience: float) -> Iterator[None]:
    """Hold the outbox while the block runs: one process publishes at a time.

    Raises:
        TimeoutError: another process held it for ``patience`` seconds.
    """
    end = time.monotonic() + patience
    with folder.with_name(f"{folder.name}.lock").open("wb") as stream:
        while not _lock(stream):
            if time.monotonic() >= end:
                raise TimeoutError(f"another process has been publishing {folder} for {patience:.0f} seconds")
            time.sleep(0.1)
        yield


def _lock(stream: BinaryIO) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
