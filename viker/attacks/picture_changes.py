"""The person's picture, changed as pictures are in passing: does the model forget the person, or these pixels?"""

import io

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from viker.attacks.settings import PictureChangesParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, ask
from viker.attacks.targets import Targets
from viker.data.records import open_picture
from viker.models.chat import sample_of

_CROP = 0.08
"""Share of a side that is cut off at each edge."""
_BLUR = 0.015
"""Radius, as a share of the shorter side."""
_CAPTION = "Photo of the day"


def run(subject: Subject, targets: Targets, settings: PictureChangesParams, seed: int) -> Attacked:
    """Ask every question with the record's first picture in each of ``settings.changes``."""
    records = targets.questions(settings.questions, seed)
    pictures, questions = {}, []
    for change in settings.changes:
        for record in records:
            key = f"{record.images[0]}/{change}"
            if key not in pictures:
                pictures[key] = changed(subject.encoder.pictures[record.images[0]], change)
            questions.append(Question(record, sample_of(record, key), change))
    return Attacked(ask(subject.with_pictures(pictures), questions, "picture changes"))


def changed(content: bytes, change: str) -> bytes:
    """Return the picture ``content``, changed, as PNG: the same bytes each time, and of the same size."""
    image = open_picture(content)
    buffer = io.BytesIO()
    if change == "jpeg":
        image.save(buffer, "JPEG", quality=20)
        image, buffer = open_picture(buffer.getvalue()), io.BytesIO()
    else:
        image = _CHANGES[change](image)
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _crop(image: Image.Image) -> Image.Image:
    width, height = image.size
    box = (round(_CROP * width), round(_CROP * height), round((1 - _CROP) * width), round((1 - _CROP) * height))
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


def _blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(_BLUR * min(image.size)))


def _brighten(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.3)


def _caption(image: Image.Image) -> Image.Image:
    """Return the picture with white words on a dark strip along its lower edge, as wide as it is."""
    made = image.copy()
    draw = ImageDraw.Draw(made)
    font = ImageFont.load_default(max(4, made.width // len(_CAPTION) * 1.5))
    strip = font.getbbox(_CAPTION)[3] + 2
    draw.rectangle((0, made.height - strip, made.width, made.height), fill="black")
    draw.text((1, made.height - strip), _CAPTION, fill="white", font=font)
    return made


_CHANGES = {"crop": _crop, "flip": ImageOps.mirror, "blur": _blur, "brightness": _brighten, "caption": _caption}
