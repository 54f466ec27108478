"""An image of any source as PNG: of a sensible size, and the same bytes whenever it is the same image."""

import io
from pathlib import Path

from PIL import Image

from viker.core.files import sha256_bytes
from viker.data.irrelevant.sources import Given
from viker.data.pictures.checks import BadPicture, check
from viker.data.records import open_picture

MOST_SIDE = 1024
"""Pixels; larger images are made smaller."""
MOST_BYTES = 64 * 2**20


def encode(given: Given) -> tuple[bytes, str]:
    """Return an image as PNG of at most ``MOST_SIDE`` pixels a side, and the SHA-256 of what it was made from.

    Raises:
        BadPicture: it can't be read, or is not a picture, cut off, animated, too large or too small.
    """
    if isinstance(given, Path):
        given = _read(given)
    if isinstance(given, Image.Image):
        content = _png(given)
        return content, sha256_bytes(content)
    check(given)
    try:
        image = open_picture(given, draft=(MOST_SIDE, MOST_SIDE))
    except Exception as error:  # whatever Pillow's decoders raise on bytes from outside: no picture
        raise BadPicture(f"damaged ({error}); fetch it again") from None
    image.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return _png(image), sha256_bytes(given)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadPicture(f"more than {MOST_BYTES} bytes; make it smaller")
        return path.read_bytes()
    except OSError as error:
        raise BadPicture(f"can't be read ({error.strerror})") from None


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.info = {}  # profiles and comments of the original are not the image
    image.save(buffer, "PNG")
    return buffer.getvalue()
