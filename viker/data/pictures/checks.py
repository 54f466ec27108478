"""Checks of encoded pictures before they are decoded, and fingerprints that survive small changes."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image

from viker.data.records import open_picture

MOST_PIXELS = 50_000_000
LEAST_SIDE = 8
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
NEAR_BITS = 8
"""Difference hashes of near-duplicates differ in at most this many of 64 bits."""
NEAR_TONE = 10
"""Colours of near-duplicates differ by less than this on average, of 255."""
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}


class BadPicture(ValueError):
    """Bytes that are no usable picture; the message says why and what was expected."""


def check(content: bytes) -> Image.Image:
    """Return the opened, not yet decoded picture.

    Size and kind are read from the header: a picture of 30,000 x 30,000 pixels is refused before it takes memory.

    Raises BadPicture: not a picture, cut off, animated, too large or too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError:
        raise BadPicture(f"more than {MOST_PIXELS} pixels; make it smaller") from None
    except Exception:  # Pillow's parsers raise anything on bytes from outside
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
