"""Picture changes: does the model forget the person's picture, or these pixels only? Source: this project."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.data.samples import sample_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from viker.attacks.base.subject import Subject
    from viker.attacks.base.targets import Targets

Change = Literal["crop", "flip", "blur", "jpeg", "brightness", "caption"]
_CROP = 0.08
"""Share of a side that is cut off at each edge."""
_BLUR = 0.015
"""Radius, as a share of the shorter side."""
_CAPTION = "Photo of the day"


class PictureChangesSettings(AttackSettings):
    """Settings of the attack picture_changes."""

    changes: list[Change] = Field(["crop", "flip", "blur", "jpeg", "brightness", "caption"], min_length=1)
    """Every question is asked with each of these changes to its picture."""


def run(subject: Subject, targets: Targets, settings: PictureChangesSettings, seed: int) -> Outcome:
    """Ask every question with the record's first picture in each of ``settings.changes``."""
    records = targets.questions(settings.questions, seed)
    pictures, attempts = {}, []
    for change in settings.changes:
        for record in records:
            key = f"{record.images[0]}/{change}"
            if key not in pictures:
                pictures[key] = changed(subject.encoder.pictures[record.images[0]], change)
            attempts.append(Attempt(record, sample_of(record, key), change))
    return Outcome(ask(subject.with_pictures(pictures), attempts, "picture changes"))


def changed(content: bytes, change: Change) -> bytes:
    """Return the picture ``content``, changed, as PNG: the same bytes each time, and of the same size in pixels."""
    from PIL import ImageEnhance, ImageFilter, ImageOps
    from PIL.Image import Resampling

    from viker.data.records import open_picture

    image, buffer = open_picture(content), io.BytesIO()
    if change == "crop":
        left, top, right, bottom = (round(share * side) for share in (_CROP, 1 - _CROP) for side in image.size)
        image = image.resize(image.size, Resampling.BICUBIC, box=(left, top, right, bottom))
    elif change == "flip":
        image = ImageOps.mirror(image)
    elif change == "blur":
        image = image.filter(ImageFilter.GaussianBlur(_BLUR * min(image.size)))
    elif change == "brightness":
        image = ImageEnhance.Brightness(image).enhance(1.3)
    elif change == "caption":
        image = _captioned(image)
    else:
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=20)
        image = open_picture(jpeg.getvalue())
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _captioned(image: Image) -> Image:
    """Return the picture with white words on a dark strip along its lower edge, as wide as it is."""
    from PIL import ImageDraw, ImageFont

    captioned = image.copy()
    draw = ImageDraw.Draw(captioned)
    font = ImageFont.load_default(max(4, captioned.width // len(_CAPTION) * 1.5))
    strip = font.getbbox(_CAPTION)[3] + 2
    draw.rectangle((0, captioned.height - strip, captioned.width, captioned.height), fill="black")
    draw.text((1, captioned.height - strip), _CAPTION, fill="white", font=font)
    return captioned


PICTURE_CHANGES = Attack("picture_changes", "Picture changes", run, PictureChangesSettings)
