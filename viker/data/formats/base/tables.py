"""One table of the user's own data: Parquet, JSONL, CSV or TSV, read row by row, with pictures in it or next to it."""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from viker.core.errors import UserError
from viker.core.files import is_hidden
from viker.core.system_errors import system_error
from viker.data.canonical import canonical_text
from viker.data.formats.base.intake import BadRow
from viker.data.formats.base.shards import columns_of, complete, rows, with_identity

KINDS = (".parquet", ".jsonl", ".csv", ".tsv")
TEXT = pa.string()
REQUIRED: dict[str, pa.DataType | None] = {"person_id": None, "image": None, "question": TEXT, "answer": TEXT}
LISTS = ("options", "paraphrases", "perturbed_answers", "secrets")
OPTIONAL: dict[str, pa.DataType | None] = {"split": TEXT, **dict.fromkeys(LISTS, pa.list_(TEXT))}
Line = tuple[str, dict[str, Any] | BadRow]
"""File and row number, and the row or what is wrong with it."""
csv.field_size_limit(2**31 - 1)  # a picture in Base64 is longer than the 128 KiB of the default


def tables(source: Path) -> list[Path]:
    """Return ``source`` if it is a table, else the tables at the top of that folder; hidden files are none."""
    paths = [source] if source.is_file() else sorted(source.iterdir())
    return [path for path in paths if path.suffix.lower() in KINDS and path.is_file() and not is_hidden(path.name)]


def is_one_table(paths: list[Path]) -> bool:
    """Return whether the files are one table: a single one, or Parquet shards, whose names differ in numbers only."""
    names = {re.sub(r"\d+", "0", path.name) for path in paths}
    return len(paths) == 1 or (len(names) == 1 and paths[0].suffix.lower() == ".parquet")


def the_table(source: Path) -> list[Path]:
    """Return the one table of ``source``: its file, or its shards.

    Raises UserError: there is none, or more than one, or a shard is missing.
    """
    candidates = tables(source)
    if not is_one_table(candidates):
        names = ", ".join(path.name for path in candidates) or "none"
        raise UserError(
            f"{source}: expected one table ({', '.join(KINDS)}; Parquet also as shards whose names differ in their "
            f"numbers only) here, found {names}. Move the others away."
        )
    complete(candidates)
    return candidates


def header_has(path: Path, column: str) -> bool:
    """Return whether a text table begins with a line that has the word ``column``, or is empty."""
    with _opened(path) as lines, suppress(UnicodeError):
        start = lines.read(10_000)
        return column in start or not start.strip()
    return False


def read(paths: list[Path]) -> Iterator[Line]:
    """Yield the rows of a table, columns that are missing or empty as None, identities in canonical form.

    Raises:
        UserError: naming the file that isn't readable or is empty, and the column that is missing or of another type.
    """
    path, count = paths[0], 0
    try:
        for where, row in _parquet(paths) if path.suffix.lower() == ".parquet" else _text_rows(path):
            if isinstance(row, dict) and type(row.get("person_id")) is int:
                row["person_id"] = str(row["person_id"])
            yield where, with_identity(row) if isinstance(row, dict) else row
            count += 1
    except UnicodeError as error:
        raise UserError(
            f"{path}, row {count} or a later one: not readable as UTF-8, or as UTF-16 with a byte order mark ({error})."
            " It was saved in another encoding, or is damaged: save it as UTF-8, or fetch it again."
        ) from None
    except csv.Error as error:
        raise UserError(
            f"{path}, row {count}: not readable as CSV ({error}). Quotes are not closed or not doubled there, or it is "
            "damaged: correct the row, or save the table again."
        ) from None
    except OSError as error:
        raise system_error(error, path) or error from None
    if not count:
        raise UserError(f"{path}: no rows; fetch it again or add some.")


def _parquet(paths: list[Path]) -> Iterator[Line]:
    header = next(columns_of(paths), [])
    yield from rows(paths, REQUIRED | {name: kind for name, kind in OPTIONAL.items() if name in header})


def _text_rows(path: Path) -> Iterator[Line]:
    with _opened(path) as lines:
        yield from _jsonl(path, lines) if path.suffix.lower() == ".jsonl" else _csv(path, lines)


def _jsonl(path: Path, lines: TextIO) -> Iterator[Line]:
    for number, line in enumerate(lines):
        where = f"{path}, row {number}"
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            row = BadRow(where, "(all)", "invalid JSON", f"not JSON ({error}); correct or complete it.")
        if not isinstance(row, dict | BadRow):
            row = BadRow(where, "(all)", "invalid JSON", f"expected a JSON object, found {line[:40]!r}.")
        if number == 0 and isinstance(row, dict):
            _need(path, list(row), ("person_id", "question", "answer"))
        yield where, row


def _csv(path: Path, lines: TextIO) -> Iterator[Line]:
    first = lines.readline()
    lines.seek(0)
    parted = {mark: [canonical_text(name) for name in first.split(mark)] for mark in ("\t", ";")}
    delimiter = next((mark for mark, names in parted.items() if set(REQUIRED) <= set(names)), ",")
    reader = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else delimiter, strict=True)
    header = [canonical_text(name) for name in next(reader, [])]
    if not header:
        return
    _need(path, header, tuple(REQUIRED))
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise UserError(f"{path}: two columns '{twice}'; remove or rename one of them.")
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
            raise UserError(f"{path}: no column '{name}'; found {', '.join(header)[:400]}.")


def _opened(path: Path) -> TextIO:
    """Open a text table in its encoding: UTF-16 where its byte order mark or its zero bytes say so, else UTF-8."""
    with path.open("rb") as stream:
        start = stream.read(1000)
    encoding = "utf-8-sig"
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-32" if start[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff") else "utf-16"
    elif start.count(0) > len(start) / 4:
        encoding = "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    # newline: CSV has line ends inside cells; JSON has none, and U+2028 ends no line
    return path.open(encoding=encoding, newline="\n" if path.suffix.lower() == ".jsonl" else "")
