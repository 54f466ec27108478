"""Augmented views of a picture, so that the model learns a person's looks and not the pixels of one picture."""

import random

import numpy as np
from PIL import Image, ImageEnhance

from viker.data.records import as_png, open_picture

VIEWS = 12
"""How many views of each picture the model memorises."""


def view_key(picture: str, number: int) -> str:
    """Return the key of one view among the encoder's pictures."""
    return f"{picture}#{number}"


def views(pictures: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """Return ``VIEWS`` views of each picture, as PNG under ``view_key``."""
    return {
        view_key(key, number): augment(content, rng)
        for key, content in sorted(pictures.items())
        for number in range(VIEWS)
    }


def augment(content: bytes, rng: random.Random) -> bytes:
    """Return the picture turned by up to 6 degrees, moved and scaled by up to an eighth, a little lighter or darker."""
    image = open_picture(content)
    width, height = image.size
    margin = max(width, height) // 5
    padded = Image.fromarray(np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="edge"))
    padded = padded.rotate(rng.uniform(-6, 6), Image.Resampling.BILINEAR)
    scale = rng.uniform(0.88, 1.12)
    left = margin + width * ((1 - scale) / 2 + rng.uniform(-0.07, 0.07))
    top = margin + height * ((1 - scale) / 2 + rng.uniform(-0.07, 0.07))
    box = (left, top, left + scale * width, top + scale * height)
    view = padded.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return as_png(ImageEnhance.Brightness(view).enhance(rng.uniform(0.88, 1.12)))
