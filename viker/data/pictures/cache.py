"""The fingerprints of the last run's pictures, by the SHA-256 of their bytes: to take one means to decode the picture.

There are no pixels in it, no names, and no place in the data. A fingerprint is personal data all the same: whoever has
the picture can tell that it was here. So only those of pictures that the last run wrote are kept, and ``viker purge``
removes the file. What a header and checksums tell of a picture is checked anew each time, see ``checks.check``.
"""

import hashlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path

import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import features

from viker.core.files import new_file, sha256_bytes, sha256_json, sha256_path
from viker.data import records
from viker.data.pictures import FINGERPRINTS, checks
from viker.data.pictures.checks import Fingerprint, fingerprint

LIBRARIES = ("libjpeg_turbo", "jpg", "zlib", "webp", "libtiff")
"""What Pillow decodes with, by its names for them."""
_SCHEMA = pa.schema(
    [
        pa.field("hash", pa.string(), nullable=False),
        pa.field("bits", pa.uint64(), nullable=False),
        pa.field("tones", pa.binary(768), nullable=False),
    ]
)
_DIGEST = 32

log = logging.getLogger(__name__)


class FingerprintCache:
    """The fingerprints in a folder's file; without a folder, none are known or kept.

    The file is a SHA-256 and the bytes that it is of: one that is torn or damaged is not used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Read what the last run left, if the same code and decoders made it."""
        self._path = folder / FINGERPRINTS if folder else None
        self._earlier = _read(self._path) if self._path else {}

    def fingerprint(self, content: bytes, key: str = "") -> Fingerprint:
        """Return an encoded picture's fingerprint, known or new; ``key``: its SHA-256, where that was computed already.

        Raises BadPicture: the pixels can't be decoded.
        """
        return self._earlier.get(key or sha256_bytes(content)) or fingerprint(content)

    def write(self, kept: Mapping[str, Fingerprint]) -> None:
        """Keep these fingerprints, by the pictures' SHA-256, and no others; what can't be written is said."""
        if self._path is None or kept.keys() == self._earlier.keys():
            return
        rows = [{"hash": key, **vars(look)} for key, look in sorted(kept.items())]
        table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({"version": version()}))
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="none", use_dictionary=False, write_statistics=False)
        content = buffer.getvalue()
        try:
            with new_file(self._path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
        except OSError as error:
            log.warning("%s: can't be written (%s); the next run decodes all pictures again.", self._path, error)


def version() -> str:
    """Return a hash of what decides about a fingerprint: the code, Pillow and its libraries."""
    code = [sha256_path(Path(str(module.__file__))) for module in (checks, records)]
    return sha256_json([*code, PIL.__version__, *map(features.version, LIBRARIES)])


def _read(path: Path) -> dict[str, Fingerprint]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("%s: not readable (%s); all pictures are decoded again.", path, error)
        return {}
    digest, content = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        log.warning("%s: torn or damaged; all pictures are decoded again.", path)
        return {}
    table = pq.read_table(io.BytesIO(content))
    if not table.schema.equals(_SCHEMA) or (table.schema.metadata or {}).get(b"version") != version().encode():
        return {}
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return {key: Fingerprint(bits, tones) for key, bits, tones in rows}
