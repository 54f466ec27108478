"""A Parquet file of pictures: each checked before it is decoded, and stored once under its hash."""

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from viker.core.files import sha256_bytes
from viker.data.pictures.cache import FingerprintCache
from viker.data.pictures.checks import Fingerprint, check
from viker.data.records import PICTURE_SCHEMA

GROUP_BYTES = 16 * 2**20
"""About how many bytes of pictures one row group holds; that many are in memory."""
THREADS = max(2, len(os.sched_getaffinity(0)))
"""Threads that decode pictures; another one reads and writes."""


@dataclass(frozen=True)
class Picture:
    """A picture's SHA-256, its width and height in pixels, and its fingerprint."""

    hash: str
    width: int
    height: int
    fingerprint: Fingerprint


class PictureStore:
    """Writes pictures to a Parquet file in ``PICTURE_SCHEMA``, each once, in the order of their first use."""

    def __init__(self, path: Path, fingerprints: FingerprintCache | None = None) -> None:
        """Begin the file at ``path``; ``fingerprints`` are known from another run."""
        self._fingerprints = fingerprints or FingerprintCache()
        self.known: dict[str, Picture] = {}
        """The pictures stored so far, by SHA-256."""
        # No dictionary or statistics: no two pictures are equal, and computing them is the slowest part of writing.
        self._writer = pq.ParquetWriter(
            path, PICTURE_SCHEMA, compression="none", use_dictionary=False, write_statistics=False
        )
        self._rows: list[dict[str, object]] = []
        self._size = 0
        self._threads = ThreadPoolExecutor(THREADS)
        self._begun: dict[int, tuple[bytes, Future[Picture]]] = {}

    def __contains__(self, key: str) -> bool:
        """Return whether a picture of that SHA-256 is stored."""
        return key in self.known

    def begin(self, contents: Iterable[bytes]) -> None:
        """Start to check pictures that are about to be added, in other threads."""
        for content in contents:
            self._begun[id(content)] = content, self._threads.submit(self._look_at, content)

    def add(self, content: bytes) -> str:
        """Check and store an encoded picture; return its SHA-256.

        Raises BadPicture: not a picture, cut off, animated, too large or too small.
        """
        begun = self._begun.pop(id(content), None)  # it holds the bytes: nothing else can have their id meanwhile
        picture = begun[1].result() if begun else self._look_at(content)
        if picture.hash not in self.known:
            self.known[picture.hash] = picture
            size = {"width": picture.width, "height": picture.height}
            self._rows.append({"hash": picture.hash, "bytes": content, **size})
            self._size += len(content)
            if self._size >= GROUP_BYTES:
                self._flush()
        return picture.hash

    def close(self) -> None:
        """Write what is left; the file is whole only then."""
        self._threads.shutdown(cancel_futures=True)
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=PICTURE_SCHEMA))
        self._rows, self._size = [], 0

    def _look_at(self, content: bytes) -> Picture:
        image, key = check(content), sha256_bytes(content)
        return Picture(key, image.width, image.height, self._fingerprints.fingerprint(content, key))
