"""Pictures on their way in: checked before they are decoded, stored once under their hash, written as they come."""

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from components.common.files import sha256_bytes
from components.common.pictures import Fingerprint, check, fingerprint
from components.common.records import PICTURE_SCHEMA

GROUP_BYTES = 16 * 2**20
"""About how many bytes of pictures one row group holds; as many are in memory."""


class PictureStore:
    """Writes pictures to a Parquet file in ``PICTURE_SCHEMA``, each once, in the order of their first use."""

    def __init__(self, path: Path) -> None:
        """Begin the file at ``path``."""
        self.fingerprints: dict[str, Fingerprint] = {}
        """What each picture looks like, by its SHA-256."""
        self._writer = pq.ParquetWriter(path, PICTURE_SCHEMA, compression="none")
        self._rows: list[dict[str, object]] = []
        self._size = 0

    def __contains__(self, key: str) -> bool:
        """Return whether a picture of that SHA-256 is stored."""
        return key in self.fingerprints

    def add(self, content: bytes) -> str:
        """Check and store an encoded picture; return its SHA-256.

        Raises:
            BadPicture: not a picture, cut off, animated, too large or too small.
        """
        key = sha256_bytes(content)
        if key not in self.fingerprints:
            image = check(content)
            self.fingerprints[key] = fingerprint(content)
            self._rows.append({"hash": key, "bytes": content, "width": image.width, "height": image.height})
            self._size += len(content)
            if self._size >= GROUP_BYTES:
                self._flush()
        return key

    def close(self) -> None:
        """Write what is left; the file is whole only then."""
        self._flush()
        self._writer.close()

    def __enter__(self) -> "PictureStore":
        """Return the store, to be closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        self.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=PICTURE_SCHEMA))
        self._rows, self._size = [], 0
