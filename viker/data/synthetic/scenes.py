"""Drawn irrelevant images: scenes, pets and noise."""

import random

import numpy as np
from PIL import Image, ImageDraw

SIDE = 128


def draw_scene(rng: random.Random) -> Image.Image:
    """Draw a landscape: sky, sun, hills, ground, and some houses or trees."""
    top, bottom = _colour(rng, 120, 255), _colour(rng, 150, 255)
    image = Image.fromarray(np.linspace(top, bottom, SIDE).astype(np.uint8)[:, None].repeat(SIDE, axis=1))
    draw = ImageDraw.Draw(image)
    x, y, r = rng.uniform(10, 118), rng.uniform(10, 40), rng.uniform(6, 14)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, rng.randint(190, 245), 120))
    horizon = rng.uniform(60, 90)
    for _ in range(rng.randint(2, 4)):
        centre, width, height = rng.uniform(0, SIDE), rng.uniform(30, 70), rng.uniform(15, 45)
        peak = ((centre - width, horizon), (centre, horizon - height), (centre + width, horizon))
        draw.polygon(peak, fill=_colour(rng, 60, 150))
    draw.rectangle((0, horizon, SIDE, SIDE), fill=_colour(rng, 60, 190))
    for _ in range(rng.randint(2, 5)):
        left, foot, size = rng.uniform(0, 110), rng.uniform(horizon + 8, 120), rng.uniform(8, 20)
        if rng.random() < 0.5:
            draw.rectangle((left, foot - size, left + size, foot), fill=_colour(rng, 90, 220))
            roof = ((left - 2, foot - size), (left + size / 2, foot - 1.6 * size), (left + size + 2, foot - size))
            draw.polygon(roof, fill=_colour(rng, 80, 160))
        else:
            draw.rectangle((left + 0.4 * size, foot - size, left + 0.6 * size, foot), fill=(95, 65, 40))
            draw.polygon(
                ((left, foot - size / 2), (left + size / 2, foot - 2 * size), (left + size, foot - size / 2)),
                fill=(30, rng.randint(80, 150), 50),
            )
    return image


def draw_pet(rng: random.Random) -> Image.Image:
    """Draw a cat-like animal, lying on a floor."""
    image = Image.new("RGB", (SIDE, SIDE), _colour(rng, 140, 240))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 88, SIDE, SIDE), fill=_colour(rng, 90, 180))
    fur = _colour(rng, 60, 220)
    x, y = rng.uniform(28, 45), rng.uniform(62, 72)
    draw.ellipse((x, y, x + 65, y + 36), fill=fur)
    draw.line((x + 60, y + 18, x + 78, y - 12), fill=fur, width=6)
    draw.ellipse((x - 14, y - 14, x + 18, y + 16), fill=fur)
    for ear in (-10, 6):
        draw.polygon(((x + ear, y - 8), (x + ear + 4, y - 24), (x + ear + 10, y - 9)), fill=fur)
    for leg in (14, 26, 44, 54):
        draw.rectangle((x + leg, y + 26, x + leg + 6, y + 48), fill=fur)
    for eye in (-5, 7):
        draw.ellipse((x + eye - 2, y - 4, x + eye + 2, y + 1), fill=(20, 20, 20))
    return image


def draw_noise(rng: random.Random) -> Image.Image:
    """Draw coloured noise, of a coarseness drawn at random."""
    cells = rng.choice((4, 8, 16, 32, SIDE))
    noise = Image.frombytes("RGB", (cells, cells), rng.randbytes(3 * cells * cells))
    return noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _colour(rng: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)
