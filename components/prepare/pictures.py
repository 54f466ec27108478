"""Pictures on their way in: checked before they are decoded, stored once under their hash, written as they come."""

import io
import warnings
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from components.common.files import sha256_bytes
from components.common.records import PICTURE_SCHEMA, open_picture

MOST_PIXELS = 50_000_000
LEAST_SIDE = 8
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
GROUP_BYTES = 16 * 2**20
"""About how many bytes of pictures one row group holds; as many are in memory."""
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}


class BadPicture(ValueError):
    """Bytes that are no usable picture; the message says why and what was expected."""


class PictureStore:
    """Writes pictures to a Parquet file in ``PICTURE_SCHEMA``, each once, in the order of their first use."""

    def __init__(self, path: Path) -> None:
        """Begin the file at ``path``."""
        self.fingerprints: dict[str, int] = {}
        """Perceptual hash of each picture, by SHA-256; see ``fingerprint``."""
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


def check(content: bytes) -> Image.Image:
    """Return the opened, not yet decoded picture.

    Size and kind are read from the header: a picture of 30,000 x 30,000 pixels is refused before it takes memory.

    Raises:
        BadPicture: not a picture, cut off, animated, too large or too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError:
        raise BadPicture(f"more than {MOST_PIXELS} pixels; make it smaller") from None
    except Exception:  # whatever Pillow's parsers raise on bytes from outside means the same: no picture
        raise BadPicture(f"not a picture; expected one of {', '.join(FORMATS)}") from None
    if image.width * image.height > MOST_PIXELS:
        raise BadPicture(f"{image.width} x {image.height} pixels, more than {MOST_PIXELS}; make it smaller")
    if min(image.size) < LEAST_SIDE:
        raise BadPicture(f"{image.width} x {image.height} pixels; expected at least {LEAST_SIDE} a side")
    if frames > 1:
        raise BadPicture(f"an animation of {frames} frames; keep one of them")
    end = _ENDS.get(image.format or "")
    if end and end not in content[-4096:]:
        raise BadPicture("cut off; fetch it again")
    return image


def fingerprint(content: bytes) -> int:
    """Return the difference hash of a picture, 64 bits: near-duplicates differ in few of them.

    Source: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013.

    Raises:
        BadPicture: the pixels can't be decoded.
    """
    try:
        small = open_picture(content, draft=(64, 64)).convert("L").resize((9, 8), Image.Resampling.BILINEAR)
    except Exception as error:  # see check
        raise BadPicture(f"damaged ({error}); fetch it again") from None
    values = small.tobytes()
    bits = [values[9 * y + x] > values[9 * y + x + 1] for y in range(8) for x in range(8)]
    return sum(1 << i for i, bit in enumerate(bits) if bit)
