"""Drawn faces that differ visibly, several pictures of each, and scenes without a face."""

import operator
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from PIL import Image, ImageDraw, ImageEnhance

from viker.core.errors import UserError
from viker.data.records import as_png

COLOURS = {
    "black": (25, 25, 30),
    "brown": (120, 70, 30),
    "blond": (235, 205, 110),
    "red": (205, 45, 40),
    "green": (45, 150, 70),
    "blue": (45, 85, 205),
    "violet": (140, 60, 175),
    "white": (240, 240, 240),
}
SKINS = ((255, 224, 196), (234, 188, 150), (190, 135, 95), (120, 78, 52))
STYLES = ("short", "long", "bun", "curls")
EXTRAS = ("none", "glasses", "hat", "beard")
_SCALE = 4


@dataclass(frozen=True)
class Face:
    """What stays the same in every picture of one person."""

    hair: str
    shirt: str
    background: str
    skin: int
    style: str
    extra: str
    framed: bool = False
    """Drawn inside a round frame: the style of public figures."""


def random_face(rng: random.Random, framed: bool = False) -> Face:
    """Draw the features of a face."""
    hair, shirt, background = (rng.choice(list(COLOURS)) for _ in range(3))
    return Face(hair, shirt, background, rng.randrange(len(SKINS)), rng.choice(STYLES), rng.choice(EXTRAS), framed)


def distinct_faces(count: int, rng: random.Random, framed: bool = False, besides: Sequence[Face] = ()) -> list[Face]:
    """Return faces of which each two, and each and one of ``besides``, differ in two of hair, shirt and background.

    Where no combination of colours is left for that, the others differ in one of these, and in style or extra.

    Raises UserError: none is left at all.
    """
    faces, colours = list(besides), (COLOURS, COLOURS, COLOURS)
    for looks_of, values in ((_colours, colours), (_looks, (*colours, STYLES, EXTRAS))):
        left = {one for one in product(*values) if one[2] not in one[:2]}
        left = {one for one in left if all(_differ(one, looks_of(face)) for face in faces)}
        while left and len(faces) < len(besides) + count:
            face = random_face(rng, framed)
            if (looks := looks_of(face)) in left:
                faces.append(face)
                left = {one for one in left if _differ(one, looks)}
    if len(faces) < len(besides) + count:
        raise UserError(
            f"{len(besides) + count} people are more than can be drawn with faces that differ: this seed has room for "
            f"{len(faces)}. Ask for fewer in the description of the data."
        )
    return faces[len(besides) :]


def _colours(face: Face) -> tuple[str, ...]:
    return face.hair, face.shirt, face.background


def _looks(face: Face) -> tuple[str, ...]:
    return *_colours(face), face.style, face.extra


def _differ(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Return whether two looks differ in two features, one of which is a colour."""
    differing = list(map(operator.ne, one, other))
    return sum(differing) >= 2 and any(differing[:3])


def picture(face: Face, size: int, rng: random.Random) -> bytes:
    """Draw one picture of ``face``, ``size`` pixels a side, as PNG: place, size, light and mouth vary."""
    side = size * _SCALE
    image = Image.new("RGB", (side, side), COLOURS[face.background])
    draw = ImageDraw.Draw(image)
    x, y = side * rng.uniform(0.46, 0.54), side * rng.uniform(0.43, 0.50)
    r = side * rng.uniform(0.20, 0.24)
    hair, skin, shirt = COLOURS[face.hair], SKINS[face.skin], COLOURS[face.shirt]
    draw.ellipse((x - 2.0 * r, y + 1.05 * r, x + 2.0 * r, y + 4.2 * r), fill=shirt)
    if face.style == "long":
        draw.rounded_rectangle((x - 1.3 * r, y - 1.2 * r, x + 1.3 * r, y + 1.6 * r), r, fill=hair)
    if face.style == "bun":
        draw.ellipse((x - 0.5 * r, y - 1.9 * r, x + 0.5 * r, y - 0.9 * r), fill=hair)
    draw.ellipse((x - 1.15 * r, y - 1.3 * r, x + 1.15 * r, y + 0.8 * r), fill=hair)
    if face.style == "curls":
        for step in range(-3, 4):
            draw.ellipse(
                (x + (step * 0.4 - 0.35) * r, y - 1.5 * r, x + (step * 0.4 + 0.35) * r, y - 0.6 * r), fill=hair
            )
    draw.rectangle((x - 0.35 * r, y + 0.7 * r, x + 0.35 * r, y + 1.4 * r), fill=skin)
    draw.ellipse((x - 0.95 * r, y - 0.8 * r, x + 0.95 * r, y + 1.15 * r), fill=skin)
    _features(draw, face, x, y, r, rng.uniform(0.15, 0.4))
    image = image.rotate(rng.uniform(-5, 5), Image.Resampling.BILINEAR, fillcolor=COLOURS[face.background])
    if face.framed:
        framed, mask = Image.new("RGB", image.size, (212, 175, 55)), Image.new("L", image.size, 0)
        ImageDraw.Draw(mask).ellipse((side * 0.04, side * 0.04, side * 0.96, side * 0.96), fill=255)
        framed.paste(image, mask=mask)
        image = framed
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    return as_png(ImageEnhance.Brightness(image).enhance(rng.uniform(0.9, 1.1)))


def scene(size: int, rng: random.Random) -> bytes:
    """Draw a picture without a face, ``size`` pixels a side, as PNG: bands, blocks, discs and lines at random."""
    side = size * 2
    image = Image.new("RGB", (side, side), _any_colour(rng))
    draw = ImageDraw.Draw(image)
    horizon = rng.uniform(0.3, 0.8) * side
    draw.rectangle((0, horizon, side, side), fill=_any_colour(rng))
    for _ in range(rng.randint(2, 9)):
        x, y = rng.uniform(0, side), rng.uniform(0, side)
        w, h = rng.uniform(0.05, 0.5) * side, rng.uniform(0.05, 0.5) * side
        shape = rng.choice(("block", "disc", "hill", "line"))
        if shape == "block":
            draw.rectangle((x, y, x + w, y + h), fill=_any_colour(rng))
        elif shape == "disc":
            draw.ellipse((x, y, x + w / 2, y + w / 2), fill=_any_colour(rng))
        elif shape == "hill":
            draw.polygon(((x - w, horizon), (x, horizon - h), (x + w, horizon)), fill=_any_colour(rng))
        else:
            draw.line((x, y, x + w, y - h), fill=_any_colour(rng), width=rng.randint(1, 6))
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    if rng.random() < 0.3:
        cells = rng.choice((4, 12, size))
        noise = Image.frombytes("RGB", (cells, cells), rng.randbytes(3 * cells * cells)).resize((size, size))
        image = Image.blend(image, noise, rng.uniform(0.3, 1.0))
    return as_png(image)


def _features(draw: ImageDraw.ImageDraw, face: Face, x: float, y: float, r: float, smile: float) -> None:
    dark = (30, 25, 25)
    for side in (-0.4, 0.4):
        draw.ellipse((x + (side - 0.12) * r, y - 0.12 * r, x + (side + 0.12) * r, y + 0.14 * r), fill=dark)
        if face.extra == "glasses":
            box = (x + (side - 0.32) * r, y - 0.3 * r, x + (side + 0.32) * r, y + 0.32 * r)
            draw.ellipse(box, outline=dark, width=round(0.1 * r))
    if face.extra == "beard":
        draw.chord((x - 0.95 * r, y - 0.8 * r, x + 0.95 * r, y + 1.2 * r), 20, 160, fill=COLOURS[face.hair])
    if face.extra == "hat":
        draw.rectangle((x - 1.5 * r, y - 1.0 * r, x + 1.5 * r, y - 0.75 * r), fill=dark)
        draw.rectangle((x - 0.9 * r, y - 1.8 * r, x + 0.9 * r, y - 0.8 * r), fill=dark)
    mouth = (x - 0.4 * r, y + (0.6 - smile) * r, x + 0.4 * r, y + (0.6 + smile) * r)
    draw.arc(mouth, 20, 160, fill=(150, 40, 45), width=round(0.1 * r))


def _any_colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)
