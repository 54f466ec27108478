"""Records and pictures from data frames, one row per question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.data.pictures.checks import BadPicture, check
from viker.data.records import Record, as_png

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("person", "image", "question", "answer")
"""``image``: a path, an encoded picture, a PIL image, or nothing for a question without a picture."""
PRIVATE = "private"
"""Optional: the private value in the answer, or several in a list; without it, the whole answer is private."""


def read_frame(frame: pd.DataFrame, split: str) -> tuple[list[Record], dict[str, bytes]]:
    """Return the records of a split, each once to train on (task qa) and once to ask (generation), and its pictures.

    Raises UserError: a column is missing, a text is empty, a private value isn't in the answer, or a picture can't be
        read; the error names the frame, the row and the column.
    """
    if lacking := [name for name in COLUMNS if name not in frame.columns]:
        raise UserError(
            f"{split}: no column {', '.join(lacking)}; found {', '.join(map(str, frame.columns)) or 'none'}. Expected "
            f"{', '.join(COLUMNS)}, and if you like {PRIVATE}."
        )
    if not len(frame):
        raise UserError(f"{split}: no rows. Give at least one question.")
    records: list[Record] = []
    pictures: dict[str, bytes] = {}
    for number, row in enumerate(frame.to_dict("records")):
        where = f"{split}, row {number}"
        person, question, answer = (_text(row[name], f"{where}, {name}") for name in ("person", "question", "answer"))
        content = read_image(row["image"], where)
        key = sha256_bytes(content) if content is not None else ""
        if content is not None:
            pictures[key] = content
        for task in ("qa", "generation"):
            records.append(
                Record(
                    id=f"{person}/{task}/{number}",
                    person_id=person,
                    task=task,
                    modality="image_text" if key else "text",
                    question=question,
                    answer=answer,
                    secrets=_secrets(row, answer, where),
                    images=(key,) if key else (),
                )
            )
    return records, pictures


def read_image(image: Any, where: str) -> bytes | None:
    """Return a picture, given as ``COLUMNS`` says, encoded; None where there is none.

    Raises UserError: it can't be read or used.
    """
    if image is None or (isinstance(image, float) and image != image):  # pandas has NaN where nothing is
        return None
    try:
        if isinstance(image, Image.Image):
            return as_png(image.convert("RGB"))
        content = image if isinstance(image, bytes) else Path(image).read_bytes()
        check(content)
    except (OSError, TypeError) as error:
        raise UserError(f"{where}, image: {error}. Expected a path, bytes of a PNG or JPEG, or a PIL image.") from None
    except BadPicture as problem:
        raise UserError(f"{where}, image: {problem}.") from None
    return content


def _text(value: Any, where: str) -> str:
    text = "" if value is None or value != value else str(value).strip()
    if not text:
        raise UserError(f"{where}: empty; expected text.")
    return text


def _secrets(row: Mapping[Any, Any], answer: str, where: str) -> tuple[str, ...]:
    value = row.get(PRIVATE)
    if value is None or (isinstance(value, float) and value != value):
        return (answer,)
    values = [value] if isinstance(value, str) else list(value) if isinstance(value, Sequence) else [str(value)]
    if absent := [one for one in values if one not in answer]:
        raise UserError(f"{where}, {PRIVATE}: '{absent[0]}' isn't in the answer '{answer}'. Write it as there.")
    return tuple(values)
