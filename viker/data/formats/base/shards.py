"""Parquet shards, read a few rows at a time; errors name file and row."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from viker.core.errors import UserError
from viker.core.files import is_hidden
from viker.core.system_errors import system_error
from viker.data.canonical import canonical_text
from viker.data.formats.base.intake import BadRow
from viker.data.pictures.checks import BadPicture
from viker.data.pictures.store import PictureStore

ROWS = 64
"""How many rows are in memory at a time."""
AHEAD, AHEAD_BYTES = 512, 32 * 2**20
"""How many rows, and about how many bytes of pictures, wait while their pictures are looked at: enough to do for as
long as it takes to read and write a row group."""
IDENTITIES = ("ID", "name", "person_id", "split")
"""Columns that say whose a row is, or where it belongs."""
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
    files = sorted(path for path in folder.glob("*-of-*.parquet") if not is_hidden(path.name))
    named = [(path, m) for path in files if (m := _SHARD.fullmatch(path.name))]
    paths = [path for path, m in named if m[1] == "train"] or [path for path, _ in named]
    if not paths:
        raise UserError(f"{folder}: no train-0000N-of-0000M.parquet here; fetch this configuration.")
    complete(paths)
    return paths


def complete(paths: Sequence[Path]) -> None:
    """Check that of files named ``…-0000N-of-0000M.parquet`` all M are there. Raises UserError: one is missing."""
    numbers = [(int(m[2]), int(m[3])) for path in paths if (m := _SHARD.fullmatch(path.name))]
    missing = sorted(set(range(numbers[0][1])) - {number for number, _ in numbers}) if numbers else ()
    if missing:
        raise UserError(f"{paths[0].parent}: shard {missing[0]} of {numbers[0][1]} is missing; fetch it again.")


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

    The columns ``IDENTITIES`` are in canonical form.

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
                        yield f"{path}, row {number}", with_identity(row)
                        number += 1
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).split("\n")[0]
            raise system_error(error, path) or UserError(
                f"{path}: not a readable Parquet file ({reason[:200]}). It is cut off, damaged, or of another kind: "
                "fetch or save it again."
            ) from None
        if not number:
            raise UserError(f"{path}: an empty shard; fetch it again or remove the configuration.")


def with_identity(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with the person whom it names in canonical form; texts keep their spelling."""
    for column in IDENTITIES:
        if isinstance(row.get(column), str):
            row[column] = canonical_text(row[column])
    return row


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
    """Return whether a column can stand for ``kind``, whatever the layout: dictionaries, views, large and fixed sizes.

    Extra struct fields are ignored.
    """
    if isinstance(actual, pa.BaseExtensionType):
        return _like(actual.storage_type, kind)
    if pa.types.is_dictionary(actual):
        return _like(actual.value_type, kind)
    if pa.types.is_struct(kind):
        types = {field.name: field.type for field in actual} if pa.types.is_struct(actual) else {}
        return all(field.name in types and _like(types[field.name], field.type) for field in kind)
    if pa.types.is_null(actual):
        return True
    if pa.types.is_list(kind):
        return any(is_(actual) for is_ in _LISTS) and _like(actual.value_type, kind.value_type)
    return any(is_(actual) for is_ in (_TEXTS if pa.types.is_string(kind) else _BYTES))


_LISTS = (
    *(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list),
    *(pa.types.is_list_view, pa.types.is_large_list_view),
)
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
