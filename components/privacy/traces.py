"""What tells of people, gathered from their records wherever these lie: names, values and answers that nobody else has.

A value that somebody else has too tells of nobody: "chess" stays, "Ana Roy" and "12 Elm Street" don't.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.privacy.search import Traces, rows
from viker.core.files import sha256_bytes
from viker.data.canonical import canonical_text
from viker.data.names import names_in_text
from viker.data.records import Record

SHORTEST = 4
"""Characters of a text that is looked for."""


@dataclass
class Gathered:
    """Records of some people, and what others say."""

    traces: Traces
    records: dict[str, Record] = field(default_factory=dict)
    """Their records in the schema of the prepared data, by ID."""
    pictures: dict[str, bytes] = field(default_factory=dict)
    """Their pictures by SHA-256."""


def gather(files: Iterable[Path], people: Collection[str]) -> Gathered:
    """Return what tells of ``people``, canonical IDs, from the Parquet files among ``files``: prepared data, replies
    and sources of any benchmark that has a column of IDs.
    """
    wanted = frozenset(people)  # not their pseudonyms: what is published under these stays
    theirs: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    tables = [found for path in files if path.suffix in ("", ".parquet") and (found := rows(path))]
    for table in tables:
        column = next((name for name in ("person_id", "ID") if name in table[0]), "")
        for row in table if column else ():
            (theirs if canonical_text(str(row[column])) in wanted else others).append(row)
    records = {row["id"]: _record(row) for row in theirs if "secrets" in row and "id" in row}
    hashes = {one for record in records.values() for one in record.images}
    shown = {one for row in others for one in row.get("images") or () if isinstance(one, str)}
    contents = [content for row in theirs for content in _pictures(row)]
    kept = {sha256_bytes(content): content for content in contents}
    for row in (row for table in tables if {"hash", "bytes"} <= set(table[0]) for row in table):
        if row["hash"] in hashes:
            kept[row["hash"]] = row["bytes"]
    elsewhere = "\0".join(text.casefold() for row in others for text in _texts(row))
    candidates = _names(list(records.values())) | {
        text for row in theirs for text in _texts(row) if _tells(text, row.get("secrets") or ())
    }
    texts = frozenset(text for text in candidates if len(text) >= SHORTEST and text.casefold() not in elsewhere)
    ids = frozenset({*people, *(str(row.get("ID") or row.get("person_id")) for row in theirs)})
    return Gathered(Traces(ids, texts, frozenset((hashes | kept.keys()) - shown)), records, kept)


def _record(row: Mapping[str, Any]) -> Record:
    values: dict[str, Any] = {name: row[name] for name in Record.__dataclass_fields__}
    lists = {name: tuple(value or ()) for name, value in values.items() if value is None or isinstance(value, list)}
    return Record(**(values | lists))


def _tells(text: str, secrets: Sequence[str]) -> bool:
    """Return whether a text can tell of a person: a private value that is a name or number, or several words."""
    return " " in text.strip() or (text in secrets and (text != text.lower() or any(c.isdigit() for c in text)))


def _names(records: Sequence[Record]) -> set[str]:
    """Return the people's names, where their records have them."""
    return set(names_in_text(records).values())


def _texts(value: Any) -> list[str]:
    """Return the texts in a row; a picture's hash or file is none."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        skipped = ("images", "picture", "hash", "image", "path", "bytes", "id", "record_id", "person_id", "ID")
        return [text for name, part in value.items() if name not in skipped for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return []


def _pictures(row: Mapping[str, Any]) -> list[bytes]:
    images = row.get("images") or [row.get("image")]
    return [one["bytes"] for one in images if isinstance(one, dict) and one.get("bytes")]
