"""One table of the user's own data: Parquet, JSONL or CSV, read row by row, with pictures in it or next to it."""

import csv
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from viker.core.errors import UserError
from viker.data.formats.base.intake import BadRow
from viker.data.formats.base.shards import columns_of, rows, take_picture
from viker.data.pictures.store import PictureStore

KINDS = (".parquet", ".jsonl", ".csv")
TEXT = pa.string()
REQUIRED: dict[str, pa.DataType | None] = {"person_id": TEXT, "image": None, "question": TEXT, "answer": TEXT}
LISTS = ("options", "paraphrases", "perturbed_answers", "secrets")
OPTIONAL: dict[str, pa.DataType | None] = {"split": TEXT, **dict.fromkeys(LISTS, pa.list_(TEXT))}
Line = tuple[str, dict[str, Any] | BadRow]
"""File and row number, and the row or what is wrong with it."""


def tables(source: Path) -> list[Path]:
    """Return ``source`` if it is a table, else the tables at the top of that folder."""
    paths = [source] if source.is_file() else sorted(source.iterdir())
    return [path for path in paths if path.suffix.lower() in KINDS and path.is_file()]


def the_table(source: Path) -> Path:
    """Return the one table of ``source``. Raises UserError: there is none, or more than one."""
    candidates = tables(source)
    if len(candidates) != 1:
        names = ", ".join(path.name for path in candidates) or "none"
        raise UserError(f"{source}: expected one table ({', '.join(KINDS)}) here, found {names}.")
    return candidates[0]


def read(path: Path) -> Iterator[Line]:
    """Yield the rows of a table, columns that are missing or empty as None.

    Raises:
        UserError: naming the file that isn't readable or is empty, and the column that is missing or of another type.
    """
    count = 0
    reader = {".parquet": _parquet, ".jsonl": _jsonl, ".csv": _csv}[path.suffix.lower()]
    try:
        for line in reader(path):
            yield line
            count += 1
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}, row {count}: not readable ({error}). Save it as UTF-8, or fetch it again.") from None
    if not count:
        raise UserError(f"{path}: no rows; fetch it again or add some.")


def _parquet(path: Path) -> Iterator[Line]:
    header = next(columns_of([path]), [])
    yield from rows([path], REQUIRED | {name: kind for name, kind in OPTIONAL.items() if name in header})


def _jsonl(path: Path) -> Iterator[Line]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines):
            where = f"{path}, row {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                row = BadRow(where, "(all)", "invalid JSON", f"not JSON ({error}); correct or complete it.")
            if not isinstance(row, dict | BadRow):
                row = BadRow(where, "(all)", "invalid JSON", f"expected a JSON object, found {line[:40]!r}.")
            if number == 0 and isinstance(row, dict):
                _need(path, list(row), ("person_id", "question", "answer"))
            yield where, row


def _csv(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        header = next(reader, None)
        if header is None:
            return
        _need(path, header, tuple(REQUIRED))
        for number, cells in enumerate(reader):
            where = f"{path}, row {number}"
            if len(cells) != len(header):
                message = f"{len(cells)} cells, expected {len(header)} as in the header; correct it."
                yield where, BadRow(where, "(all)", "cells", message)
                continue
            row: dict[str, Any] = {name: cell or None for name, cell in zip(header, cells, strict=True)}
            for name in LISTS:
                with suppress(ValueError, RecursionError):  # it stays text then, and is refused for not being a list
                    row[name] = json.loads(row[name]) if row.get(name) else None
            yield where, row


def _need(path: Path, header: list[str], columns: tuple[str, ...]) -> None:
    for name in columns:
        if name not in header:
            raise UserError(f"{path}: no column '{name}'; found {', '.join(header)}.")


def picture_of(value: Any, where: str, folder: Path, store: PictureStore) -> str:
    """Store the picture of a cell of the column ``image``; return its hash, "" where the cell is empty.

    The cell holds bytes, a path under ``folder``, or a struct {bytes, path} with one of the two.

    Raises BadRow: the path leads out of the folder or to no file, or it is no usable picture.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        value = _bytes_at(value, where, folder)
    if not isinstance(value, bytes):
        raise BadRow(where, "image", "picture", f"found {str(value)[:40]!r}; expected bytes, or a path to a picture.")
    return take_picture(value, where, "image", store)


def _bytes_at(path: str, where: str, folder: Path) -> bytes:
    root = folder.resolve()
    try:
        target = (root / path).resolve()
        if Path(path).is_absolute() or ".." in Path(path).parts or not target.is_relative_to(root):
            message = f"'{path}' leads out of the data folder; give a path under {folder}, no link."
            raise BadRow(where, "image", "path", message)
        if not target.is_file():
            raise BadRow(where, "image", "path", f"no file '{path}' under {folder}; add it or correct the path.")
        return target.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadRow(where, "image", "path", f"{path[:80]!r} can't be read ({error}); correct the path.") from None
