"""Checks of encoded pictures before they are decoded, and fingerprints that survive small changes."""

import io
import re
import warnings
from dataclasses import dataclass

from PIL import Image

from viker.data.records import open_picture

MOST_PIXELS = 50_000_000
LEAST_SIDE = 8
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_WITHIN_JPEG = "MPO"
"""Pillow's name for a JPEG with further pictures behind the first: gain maps, depth, previews, as phones make them."""
NEAR_BITS = 8
"""Difference hashes of near-duplicates differ in at most this many of 64 bits."""
NEAR_TONE = 10
"""Colours of near-duplicates differ by less than this on average, of 255."""
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
"""A marker of a JPEG that isn't a part of a scan's data; more bytes FF before it are fill.

It begins with one byte, and no repetition, as the search then jumps from FF to FF: that is 16 times as fast.
"""
_PNG_END = b"IEND\xaeB`\x82"
_OTHERS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF", b"avif": "AVIF"}
"""What phones also make and Pillow doesn't read, by the brand in the bytes 8 to 12."""


class BadPicture(ValueError):
    """Bytes that are no usable picture; the message says why and what was expected."""


def check(content: bytes) -> Image.Image:
    """Return the opened, not yet decoded picture; of a JPEG with others behind it, or with a film, the first.

    Size and kind are read from the header: a picture of 30,000 x 30,000 pixels is refused before it takes memory.

    Raises BadPicture: not a picture, cut off, damaged by its checksums, animated, too large or too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError:
        raise BadPicture(f"more than {MOST_PIXELS} pixels; make it smaller") from None
    except Exception:  # Pillow's parsers raise anything on bytes from outside
        kind = _OTHERS.get(content[8:12]) if content[4:8] == b"ftyp" else None
        found = f"a picture in {kind}, which can't be read here" if kind else "not a picture"
        raise BadPicture(f"{found}; expected one of {', '.join(FORMATS)}") from None
    if image.width * image.height > MOST_PIXELS:
        raise BadPicture(f"{image.width} x {image.height} pixels, more than {MOST_PIXELS}; make it smaller")
    if min(image.size) < LEAST_SIDE:
        raise BadPicture(f"{image.width} x {image.height} pixels; expected at least {LEAST_SIDE} a side")
    if frames > 1 and image.format != _WITHIN_JPEG:
        raise BadPicture(f"an animation of {frames} frames; keep one of them")
    whole = _jpeg_ends(content) if image.format in ("JPEG", _WITHIN_JPEG) else True
    if not whole or (image.format == "PNG" and _PNG_END not in content[-4096:]):
        raise BadPicture("it has no end: cut off; fetch it again, or save it again if it is damaged")
    if image.format == "PNG":
        _verify_checksums(content)
    return image


def _verify_checksums(png: bytes) -> None:
    """Raise BadPicture where a chunk differs from its checksum: Pillow decodes some such files to other pixels."""
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            image.verify()
    except Exception as error:  # Pillow's parsers raise anything on bytes from outside
        raise BadPicture(f"damaged ({error}); fetch it again") from None


def _jpeg_ends(content: bytes) -> bool:
    """Return whether a JPEG's first picture has its end marker, whatever follows it.

    Source: ITU-T T.81, annex B: segments tell their length; after a scan's header, markers are bytes FF that neither 00
    nor a restart marker follows. A thumbnail inside a segment has an end marker of its own, which doesn't count.
    """
    place = 2
    while marker := _MARKER.search(content, place):
        if marker[1] == b"\xd9":
            return True
        place = marker.end() + max(2, int.from_bytes(content[marker.end() : marker.end() + 2], "big"))
    return False


@dataclass(frozen=True)
class Fingerprint:
    """What a picture looks like: unchanged when it is scaled or re-encoded, nearly so when it is made a little lighter.

    ``bits``: the difference hash, 64 bits. ``tones``: the mean colours of 16 x 16 cells, 768 bytes of RGB.

    Source of the difference hash: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013.
    """

    bits: int
    tones: bytes

    def is_near(self, other: "Fingerprint") -> bool:
        """Return whether two pictures look the same.

        The hash alone confuses two drawn faces, the colours alone two dark photographs: both must agree.
        """
        if (self.bits ^ other.bits).bit_count() > NEAR_BITS:
            return False
        return sum(abs(a - b) for a, b in zip(self.tones, other.tones, strict=True)) < NEAR_TONE * len(self.tones)


def fingerprint(content: bytes) -> Fingerprint:
    """Return the fingerprint of an encoded picture. Raises BadPicture: the pixels can't be decoded."""
    try:
        image = open_picture(content, draft=(64, 64))
    except Exception as error:  # Pillow's decoders raise anything on bytes from outside
        raise BadPicture(f"damaged ({error}); fetch it again") from None
    values = image.convert("L").resize((9, 8), Image.Resampling.BILINEAR).tobytes()
    rising = [values[9 * y + x] > values[9 * y + x + 1] for y in range(8) for x in range(8)]
    bits = sum(1 << i for i, bit in enumerate(rising) if bit)
    return Fingerprint(bits, image.resize((16, 16), Image.Resampling.BOX).tobytes())
