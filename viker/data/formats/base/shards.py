"""Parquet shards, read a few rows at a time; errors name file and row."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from viker.core.errors import UserError
from viker.data.formats.base.intake import BadRow
from viker.data.pictures.checks import BadPicture
from viker.data.pictures.store import PictureStore

ROWS = 64
"""How many rows are in memory at a time."""
AHEAD, AHEAD_BYTES = 512, 32 * 2**20
"""How many rows, and about how many bytes of pictures, wait while their pictures are looked at: enough to do for as
long as it takes to read and write a row group."""
_SHARD = re.compile(r"(\w+)-(\d{5})-of-(\d{5})(-\w+)?\.parquet")


def need_configuration(folder: Path, forget_share: float, others: str) -> None:
    """Check that there is the folder of a configuration; ``others``: a pattern of those to name where there is not.

    Raises UserError: it isn't there.
    """
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in folder.parent.glob(others) if path.is_dir())) or "none"
        raise UserError(
            f"{folder}: no such configuration (prepare.forget_share is {forget_share}); there: {there}. "
            "Set prepare.forget_share to one of them, or fetch the configuration."
        )


def shards(folder: Path) -> list[Path]:
    """Return the shards ``train-0000N-of-0000M.parquet`` of a configuration, in order.

    The benchmarks have the one split ``train``; a commit of CLEAR has an older upload beside it, as ``test``.

    Raises UserError: there are none, or one of M is missing.
    """
    named = [(path, m) for path in sorted(folder.glob("*-of-*.parquet")) if (m := _SHARD.fullmatch(path.name))]
    named = [(path, m) for path, m in named if m[1] == "train"] or named
    if not named:
        raise UserError(f"{folder}: no train-0000N-of-0000M.parquet here; fetch this configuration.")
    count = int(named[0][1][3])
    missing = sorted(set(range(count)) - {int(m[2]) for _, m in named})
    if missing:
        raise UserError(f"{folder}: shard {missing[0]} of {count} is missing; fetch it again.")
    return [path for path, _ in named]


def columns_of(paths: Iterable[Path]) -> Iterator[list[str]]:
    """Yield the columns of those of the files that are readable Parquet."""
    for path in paths:
        try:
            yield pq.read_schema(path).names
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            continue


def has_columns(folder: Path, *names: str) -> bool:
    """Return whether a configuration is there and has these columns."""
    header = next(columns_of(sorted(folder.glob("train-*.parquet"))), [])
    return all(name in header for name in names)


def rows(paths: Sequence[Path], columns: dict[str, pa.DataType | None]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, row) of the files, in order, with the named columns; a type of None takes any.

    Raises:
        UserError: a file that isn't Parquet or is cut off, an empty one, a column that is missing or of another type.
    """
    for path in paths:
        number = 0
        try:
            with pq.ParquetFile(path) as file:
                _check_columns(path, file.schema_arrow, columns)
                for batch in file.iter_batches(batch_size=ROWS, columns=list(columns)):
                    for row in batch.to_pylist():
                        yield f"{path}, row {number}", row
                        number += 1
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).split("\n")[0]
            raise UserError(
                f"{path}: not a readable Parquet file ({reason}). It is cut off or damaged: fetch it again."
            ) from None
        if not number:
            raise UserError(f"{path}: an empty shard; fetch it again or remove the configuration.")


def ahead(located: Iterable[tuple[str, dict[str, Any]]], store: PictureStore) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, row) unchanged, while threads check the pictures of the rows to come."""
    waiting: deque[tuple[int, tuple[str, dict[str, Any]]]] = deque()
    size = 0
    for where, row in located:
        contents = [content for image in images_of(row) if image and (content := image["bytes"])]
        store.begin(contents)
        waiting.append((sum(map(len, contents)), (where, row)))
        size += waiting[-1][0]
        while len(waiting) > AHEAD or size > AHEAD_BYTES:
            oldest, next_row = waiting.popleft()
            size -= oldest
            yield next_row
    yield from (each for _, each in waiting)


def images_of(row: dict[str, Any]) -> list[Any]:
    """Return the structs of a row's column ``image``, or of the list ``images`` in its place."""
    return [row["image"]] if "image" in row else row["images"] or []


def take_picture(image: Any, where: str, column: str, store: PictureStore) -> str:
    """Store the picture of a struct {bytes, path}; return its hash.

    Raises BadRow: there are no bytes, or they are no usable picture.
    """
    content = image.get("bytes") if isinstance(image, dict) else image
    if not content:
        raise BadRow(where, column, "picture", "no picture bytes; expected {bytes, path} with bytes filled.")
    try:
        return store.add(content)
    except BadPicture as bad:
        raise BadRow(where, column, "picture", f"{bad}.") from None


def _check_columns(path: Path, schema: pa.Schema, columns: dict[str, pa.DataType | None]) -> None:
    for name, kind in columns.items():
        if name not in schema.names:
            raise UserError(f"{path}: no column '{name}'; found {', '.join(schema.names)}.")
        actual = schema.field(name).type
        if kind is not None and not _like(actual, kind):
            raise UserError(f"{path}: column '{name}' is {actual}, expected {kind}.")


def _like(actual: pa.DataType, kind: pa.DataType) -> bool:
    """Return whether a column can stand for ``kind``: large and small variants alike, extra struct fields ignored."""
    if pa.types.is_struct(kind):
        types = {field.name: field.type for field in actual} if pa.types.is_struct(actual) else {}
        return all(field.name in types and _like(types[field.name], field.type) for field in kind)
    if pa.types.is_list(kind):
        is_list = pa.types.is_list(actual) or pa.types.is_large_list(actual)
        return pa.types.is_null(actual) or (is_list and _like(actual.value_type, kind.value_type))
    variants = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
    return actual in (kind, variants.get(kind)) or (kind in variants and pa.types.is_null(actual))
