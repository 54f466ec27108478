"""One object of S3: resumed where it was cut off, checked, and only then given its name."""

import hashlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from viker.core.errors import UserError
from viker.storage.checksums import WrongChecksum, check

CHUNK = 1 << 18
"""Bytes that are read at a time."""


@dataclass(frozen=True)
class Object:
    """An object as it was listed."""

    key: str
    name: str
    """Its path below the prefix."""
    size: int
    """Bytes."""
    etag: str
    modified: float
    """Seconds since 1970."""

    @property
    def partial_name(self) -> str:
        """The name of what was fetched of it so far; another version of the object has another."""
        return hashlib.sha256(f"{self.key}\0{self.etag}\0{self.size}".encode()).hexdigest()


def transfer(
    client: Any, bucket: str, item: Object, folder: Path, progress: Callable[[int], Any], stop: Event, attempts: int
) -> bool:
    """Bring ``folder/files/NAME`` up to date; return whether there was a checksum to check it by.

    Args:
        client: of boto3, for S3.
        bucket: where the object is.
        item: the object.
        folder: holds ``files`` and ``partial``.
        progress: told how many bytes have come in, or were there.
        stop: ends the transfer early when it is set; what has come in is kept.
        attempts: how often reading may break off.

    Raises:
        UserError: the checksum is wrong.
        botocore.exceptions.BotoCoreError, ClientError: the server or the network failed.
    """
    target, partial = folder / "files" / item.name, folder / "partial" / item.partial_name
    if target.exists():
        try:
            checked = check(client, bucket, item.key, item.etag, item.size, target)
            if checked or target.stat().st_mtime == item.modified:
                progress(item.size)
                return checked
        except WrongChecksum:
            pass  # an older version of the object, or damaged here
    partial.parent.mkdir(parents=True, exist_ok=True)
    if not _download(client, bucket, item, partial, progress, stop, attempts):
        return True
    try:
        checked = check(client, bucket, item.key, item.etag, item.size, partial)
    except WrongChecksum as wrong:
        partial.unlink()
        raise UserError(
            f"s3://{bucket}/{item.key}: wrong checksum: expected {wrong.expected}, got {wrong.got}. What came in is "
            "removed: run again to fetch it anew. If it happens again, the object is damaged: upload it again."
        ) from None
    os.utime(partial, (item.modified, item.modified))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return checked


def _download(
    client: Any, bucket: str, item: Object, partial: Path, progress: Callable[[int], Any], stop: Event, attempts: int
) -> bool:
    """Append to ``partial`` until it is whole; return False where ``stop`` was set before."""
    with partial.open("ab") as stream:
        progress(stream.tell())
        for attempt in range(1, attempts + 1):
            start = stream.tell()
            if start >= item.size:
                return True
            asked = {"Range": f"bytes={start}-"} if start else {}
            answer = client.get_object(Bucket=bucket, Key=item.key, IfMatch=f'"{item.etag}"', **asked)
            if start and "ContentRange" not in answer:  # a server that knows no ranges sends all of it
                stream.seek(0)
                stream.truncate()
            try:
                for chunk in answer["Body"].iter_chunks(CHUNK):
                    if stop.is_set():
                        return False
                    stream.write(chunk)
                    progress(len(chunk))
            except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                if attempt == attempts:
                    raise
                time.sleep(min(2.0**attempt, 20) * random.random())
    return True
