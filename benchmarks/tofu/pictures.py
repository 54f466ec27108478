"""Pictures from scikit-image's ``lfw_subset``: 100 real faces and 100 patches without one, [25, 25] in grey."""

import io
import random
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from skimage.data import lfw_subset

FACES = 100
SIDE = 48
"""Pixels a side of a picture on disk."""
_CANVAS = 64
"""Pixels a side of the enlarged patch, of which a picture shows a part."""


def load_patches() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the faces and the patches without a face, float [100, 25, 25] each, 0 to 1."""
    patches = lfw_subset()
    return patches[:FACES], patches[FACES:]


def portrait(patch: np.ndarray[Any, Any]) -> bytes:
    """Return the plain picture of a patch: its middle, ``SIDE`` pixels a side, as PNG."""
    return _encode(_cut(_enlarge(patch), 3, 3, _CANVAS - 6))


def variation(patch: np.ndarray[Any, Any], rng: random.Random) -> bytes:
    """Return another picture of the same patch: cut, light, contrast, tilt and side drawn from ``rng``, as PNG."""
    image = _enlarge(patch).rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC, fillcolor=int(patch.mean() * 255))
    size = rng.randrange(54, 62)
    image = _cut(image, rng.randrange(_CANVAS - size), rng.randrange(_CANVAS - size), size)
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.75, 1.25))
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.8, 1.2))
    return _encode(ImageOps.mirror(image) if rng.random() < 0.5 else image)


def morph(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the face of nobody that lies between two: the mean of one and the other's mirror image, [25, 25]."""
    return (first + second[:, ::-1]) / 2


def sepia(content: bytes) -> bytes:
    """Return an encoded picture in brown in place of grey."""
    return _encode(ImageOps.colorize(Image.open(io.BytesIO(content)).convert("L"), (40, 20, 5), (255, 235, 190)))


def _enlarge(patch: np.ndarray[Any, Any]) -> Image.Image:
    grey = Image.fromarray(np.uint8(np.rint(patch * 255)))
    return grey.resize((_CANVAS, _CANVAS), Image.Resampling.BICUBIC)


def _cut(image: Image.Image, left: int, top: int, size: int) -> Image.Image:
    return image.crop((left, top, left + size, top + size)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _encode(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, format="PNG")
    return stream.getvalue()
