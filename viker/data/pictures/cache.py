"""What an earlier run found out about pictures: one that passed the checks then isn't checked and decoded again.

It is kept by the SHA-256 of a picture's bytes: no pixels, no names, no place in the data. A fingerprint is personal
data all the same: whoever has the picture can tell that it was here. So only the pictures of the last run are kept,
and ``viker purge`` removes the file. Refused pictures aren't kept: they are looked at, and refused, anew.
"""

import hashlib
import io
import logging
from pathlib import Path

import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import features

from viker.core.files import new_file, sha256_bytes, sha256_json, sha256_path
from viker.data import records
from viker.data.pictures import FINGERPRINTS, checks
from viker.data.pictures.checks import Fingerprint, fingerprint
from viker.data.pictures.store import Picture, look_at

TONES = 768
LIBRARIES = ("libjpeg_turbo", "jpg", "zlib", "webp", "libtiff")
"""What Pillow decodes with, by its names for them."""
_SCHEMA = pa.schema(
    [
        pa.field("hash", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("bits", pa.uint64(), nullable=False),
        pa.field("tones", pa.binary(TONES), nullable=False),
    ]
)
_DIGEST = 32

log = logging.getLogger(__name__)


class PictureCache:
    """The pictures of the last run in ``folder``, and those of this one; where that is None, nothing is kept.

    The file is a SHA-256 and the bytes that it is of: one that is torn or changed is not used.
    """

    def __init__(self, folder: Path | None) -> None:
        """Read what the last run left, if the same checks and decoders did it."""
        self._path = folder / FINGERPRINTS if folder else None
        self._earlier = _read(self._path) if self._path else {}
        self._seen: dict[str, Picture] = {}

    def look_at(self, content: bytes) -> Picture:
        """Return an encoded picture's measures, as ``store.look_at``, which is asked where they aren't known.

        Raises BadPicture: not a picture, cut off, damaged, animated, too large or too small.
        """
        key = sha256_bytes(content)
        picture = self._earlier.get(key) or look_at(content, key)
        self._seen[key] = picture
        return picture

    def fingerprint(self, content: bytes) -> Fingerprint:
        """Return an encoded picture's fingerprint, known or new. Raises BadPicture: the pixels can't be decoded."""
        known = self._earlier.get(sha256_bytes(content))
        return known.fingerprint if known else fingerprint(content)

    def write(self) -> None:
        """Keep the pictures that this run has looked at; where that can't be written, the next run looks again."""
        if self._path is None or self._seen.keys() == self._earlier.keys():
            return
        rows = [
            {"hash": one.hash, "width": one.width, "height": one.height, **vars(one.fingerprint)}
            for _, one in sorted(self._seen.items())
        ]
        table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({"version": version()}))
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="none", use_dictionary=False, write_statistics=False)
        content = buffer.getvalue()
        try:
            with new_file(self._path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
        except OSError as error:
            log.warning("%s: can't be written (%s); the next run checks all pictures anew.", self._path, error)


def version() -> str:
    """Return a hash of what decides about pictures: the checks, how pictures are decoded, Pillow and its libraries."""
    code = [sha256_path(Path(str(module.__file__))) for module in (checks, records)]
    return sha256_json([*code, PIL.__version__, *map(features.version, LIBRARIES)])


def _read(path: Path) -> dict[str, Picture]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("%s: not readable (%s); all pictures are checked anew.", path, error)
        return {}
    digest, content = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        log.warning("%s: torn or changed by something else; all pictures are checked anew.", path)
        return {}
    table = pq.read_table(io.BytesIO(content))
    if not table.schema.equals(_SCHEMA) or (table.schema.metadata or {}).get(b"version") != version().encode():
        return {}
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return {key: Picture(key, width, height, Fingerprint(bits, tones)) for key, width, height, bits, tones in rows}
