"""An image of any source as PNG, scaled down where it is large; the same image always gives the same bytes."""

import io
from pathlib import Path

from PIL import Image

from viker.core.files import sha256_bytes
from viker.data.irrelevant.sources import SourceImage
from viker.data.pictures.checks import BadPicture, check
from viker.data.records import open_picture

MOST_SIDE = 1024
"""Pixels; larger images are made smaller."""
MOST_BYTES = 64 * 2**20


def encode(image: SourceImage) -> tuple[bytes, str]:
    """Return an image as PNG of at most ``MOST_SIDE`` pixels a side, and the SHA-256 of what it was made from.

    Raises:
        BadPicture: it can't be read, or is not a picture, cut off, animated, too large or too small.
    """
    content = _read(image) if isinstance(image, Path) else image
    if isinstance(content, Image.Image):
        drawn = _png(content)
        return drawn, sha256_bytes(drawn)
    check(content)
    try:
        decoded = open_picture(content, draft=(MOST_SIDE, MOST_SIDE))
    except Exception as error:  # Pillow's decoders raise anything on bytes from outside
        raise BadPicture(f"damaged ({error}); fetch it again") from None
    decoded.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return _png(decoded), sha256_bytes(content)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadPicture(f"more than {MOST_BYTES} bytes; make it smaller")
        return path.read_bytes()
    except OSError as error:
        raise BadPicture(f"can't be read ({error.strerror})") from None


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.info = {}  # no colour profile or comment of the original
    image.save(buffer, "PNG")
    return buffer.getvalue()
