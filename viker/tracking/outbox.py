"""The outbox: what stages recorded, on disk until MLflow has it. One folder, a journal, per stage run.

``records.jsonl`` holds one record per line; the first names the runs it is about, from the outermost to the stage's
own. ``files`` holds the artifacts. The stage holds a lock on its records: without that lock and without a last record
it was killed.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from viker.core.files import writing
from viker.core.redact import redacted
from viker.tracking.published import redact_files

RECORDS, FILES = "records.jsonl", "files"


def outbox() -> Path:
    """Return the outbox: in the folder VIKER_TRACKING_DIR, such as a volume that tasks share, or in the work tree."""
    return Path(os.environ.get("VIKER_TRACKING_DIR") or "work/tracking") / "outbox"


def create(journal: Path) -> BinaryIO:
    """Create a journal and return the locked stream to append records to; the first says which runs they are about."""
    (journal / FILES).mkdir(parents=True)
    stream = (journal / RECORDS).open("ab", buffering=0)
    fcntl.flock(stream, fcntl.LOCK_EX)
    return stream


def append(stream: BinaryIO, record: Mapping[str, Any]) -> None:
    """Append one record with the time, in milliseconds since 1970 as MLflow has it, and without secrets."""
    line = json.dumps({"time": time.time_ns() // 1_000_000, **redacted(record)}, ensure_ascii=False, default=str)
    with writing(Path(stream.name)):
        stream.write(f"{line}\n".encode())  # in one write: it is complete in the file or not there


def keep(journal: Path, path: Path, folder: str, redact: bool = False) -> str:
    """Copy a file, or the files of a folder, as they are now to a tree where they lie below ``folder``; return it.

    ``redact``: whether what they hold of people is left out, see ``published``.
    """
    tree = journal / FILES / str(time.time_ns())
    (tree / folder).mkdir(parents=True)
    if path.is_dir():
        shutil.copytree(path, tree / folder, dirs_exist_ok=True)
    else:
        shutil.copy2(path, tree / folder)
    if redact:
        redact_files(tree)
    return tree.relative_to(journal).as_posix()


def waiting(folder: Path) -> list[Path]:
    """Return the journals in an outbox, oldest first."""
    return sorted(path.parent for path in folder.glob(f"*/{RECORDS}"))


def records(journal: Path, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each complete record from the byte ``offset`` on, with the offset after it."""
    with (journal / RECORDS).open("rb") as stream:
        stream.seek(offset)
        for line in stream:
            offset += len(line)
            with suppress(ValueError):  # torn by a full disk: the next ones are complete again
                if line.endswith(b"\n"):
                    yield json.loads(line), offset


def is_open(journal: Path) -> bool:
    """Return whether the stage that writes the journal is still running."""
    with (journal / RECORDS).open("rb") as stream:
        return not _lock(stream)


def remove(journal: Path) -> None:
    """Remove a journal that has arrived, its records last: cut off before that, it is published once more."""
    for folder in (journal / FILES, journal):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def publishing(folder: Path, patience: float) -> Iterator[None]:
    """Hold the outbox while the block runs: one process publishes at a time.

    Raises TimeoutError: another process held it for ``patience`` seconds.
    """
    end = time.monotonic() + patience
    with folder.with_name(f"{folder.name}.lock").open("wb") as stream:
        while not _lock(stream):
            if time.monotonic() >= end:
                raise TimeoutError(f"another process has been publishing {folder} for {patience:.0f} seconds")
            time.sleep(0.1)
        yield


def _lock(stream: BinaryIO) -> bool:
    with suppress(OSError):
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
