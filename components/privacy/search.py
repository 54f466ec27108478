"""The search for people in files: in what the files say once decoded, whatever they are compressed or escaped with."""

import gzip
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viker.core.files import sha256_bytes
from viker.data.tasks import TASKS

DEEPEST = 3
"""How many archives in one another are opened."""
LONG = 8
"""Characters of an ID that is looked for anywhere."""
OF_PEOPLE = ("person_id", "record_id", "id", "ID", "people", "forget_ids", "gone")
"""Columns and keys under which IDs of people and of their records stand."""
_LIST = re.compile(r"""(?:people|forget_ids|gone)\\?["']?\s*:\s*(\[[^\]]*\]|(?:\n\s*-[^\n]*)+)""")
_PARQUET, _ZIP, _GZIP, _SQLITE = b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"SQLite format 3\0"


@dataclass(frozen=True)
class Traces:
    """What tells of people: IDs and texts that nobody else has, and their pictures."""

    ids: frozenset[str] = frozenset()
    """Found where IDs stand: in columns of IDs, in text after ``person_id`` and in lists of people, and as the first
    part of a record's; a long one that is no number anywhere. A short one is too common to be looked for in all that is
    written."""
    texts: frozenset[str] = frozenset()
    """Found as whole words anywhere, whatever their case."""
    pictures: frozenset[str] = frozenset()
    """SHA-256 of encoded pictures: found as such a hash, or as bytes with that hash."""

    def __bool__(self) -> bool:
        """Return whether there is anything to look for."""
        return bool(self.ids or self.texts or self.pictures)


class Raw(str):
    """The bytes of a database or table: what it holds besides its values, such as deleted rows, one after the other."""


class Finder:
    """Looks for traces in files."""

    def __init__(self, traces: Traces) -> None:
        """Prepare to look for these."""
        self.traces = traces
        texts = [*(text.casefold() for text in (*traces.texts, *_telling(traces.ids))), *traces.pictures]
        longest_first = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
        self._texts = re.compile(rf"(?<![^\W_])(?:{longest_first})(?![^\W_])") if texts else None
        long = [text for text in texts if len(text) >= LONG]
        self._joined = re.compile("|".join(map(re.escape, long))) if long else None
        ids = "|".join(map(re.escape, sorted(traces.ids, key=len, reverse=True)))
        of_record = rf"(?<![\w/])(?:{ids})/(?:{'|'.join(TASKS)})/"
        of_key = rf"""\bperson_id["']?\s*[:=]\s*["']?(?:{ids})(?![\w-])"""
        self._ids = re.compile(f"{of_record}|{of_key}") if ids else None

    def in_file(self, path: Path) -> bool:
        """Return whether a file has a trace. Raises OSError: it can't be read."""
        return self.in_bytes(path.read_bytes())

    def in_bytes(self, content: bytes, depth: int = 0) -> bool:
        """Return whether the content of a file has a trace, compressed or not."""
        if sha256_bytes(content) in self.traces.pictures:
            return True
        if depth < DEEPEST:
            opened = _opened(content)
            if opened is not None:
                return any(self.in_value(part, depth + 1) for part in opened)
        text = content.decode("utf-8", "replace")
        for _ in range(DEEPEST):
            if self._in_text(text):
                return True
            if not _is_escaped(text):
                return False
            text = _unescaped(text)
        return self._in_text(text)

    def in_value(self, value: Any, depth: int = 0, key: str = "") -> bool:
        """Return whether a value that was read from a file, from a column or under a key of that name, has a trace."""
        if isinstance(value, str):
            return (key in OF_PEOPLE and value.partition("/")[0] in self.traces.ids) or self._in_text(value)
        if isinstance(value, bytes):
            return self.in_bytes(value, depth)
        if isinstance(value, dict):
            return any(self.in_value(part, depth, name) for name, part in value.items())
        if isinstance(value, list | tuple):
            return any(self.in_value(part, depth, key) for part in value)
        return False

    def _in_text(self, text: str) -> bool:
        if isinstance(text, Raw) and self._joined and self._joined.search(text.casefold()):
            return True
        if self._texts and self._texts.search(text.casefold()):
            return True
        if self._ids is None:
            return False
        lists = (re.split(r"[\s,\[\]\"'\\]+", match[1]) for match in _LIST.finditer(text))
        return bool(self._ids.search(text)) or any(not self.traces.ids.isdisjoint(named) for named in lists)


def _telling(ids: Iterable[str]) -> list[str]:
    return [one for one in ids if len(one) >= LONG and not one.isdigit()]


def files_below(places: Iterable[Path]) -> Iterator[Path]:
    """Yield the files at and below the places that exist, each once; links are not followed."""
    seen: set[Path] = set()
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path not in seen and path.is_file() and not path.is_symlink():
                seen.add(path)
                yield path


def rows(path: Path) -> list[dict[str, Any]] | None:
    """Return the rows of a Parquet file; None if it is none."""
    content = path.read_bytes()
    if content[:4] != _PARQUET:
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_table(io.BytesIO(content)).to_pylist())
    except (pa.ArrowException, OSError):
        return None


def _opened(content: bytes) -> Iterator[Any] | None:
    """Return what is in a Parquet file, an archive or a database; None for any other file, and for a damaged one."""
    kinds = {_PARQUET: _parquet, _ZIP: _zip, _GZIP: _gzip, _SQLITE[:4]: _sqlite}
    reader = kinds.get(content[:4]) or kinds.get(content[:2])
    if reader is None:
        return None
    try:
        return iter([*reader(content), Raw(content.decode("utf-8", "replace"))])
    except Exception:  # Arrow, zipfile, gzip and sqlite3 share no error for damage; raw bytes are searched then
        return None


def _parquet(content: bytes) -> Iterator[Any]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(io.BytesIO(content)).iter_batches(batch_size=256):
        yield from batch.to_pylist()


def _zip(content: bytes) -> Iterator[Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            yield name
            yield archive.read(name)


def _gzip(content: bytes) -> Iterator[Any]:
    yield gzip.decompress(content)


def quoted(name: str) -> str:
    """Return the name of a table or column as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _sqlite(content: bytes) -> Iterator[Any]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f"SELECT * FROM {quoted(table)}"):  # noqa: S608 - SQLite can't bind names; quoted() escapes them
                yield from row
                yield ": ".join(map(str, row[:2]))  # such as the name and value of a parameter


def _is_escaped(text: str) -> bool:
    return "\\u" in text or '\\"' in text


def _unescaped(text: str) -> str:
    """Return JSON's escapes as the characters that they stand for, wherever they are."""

    def character(match: re.Match[str]) -> str:
        try:
            return str(json.loads(f'"{match[0]}"'))
        except ValueError:
            return match[0]

    return re.sub(r'(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]', character, text)
