"""Taking people out of a file: their rows, IDs and lines, or the file as a whole where it can't be done without."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.privacy.search import OF_PEOPLE, Finder, quoted, rows
from viker.core.files import new_file, replace_file
from viker.core.pseudonyms import pseudonym
from viker.data.canonical import canonical_text
from viker.tracking.published import FILES

ID_LISTS = ("people", "forget_ids", "gone")
REMOVED = "***"
"""What stands in a database where a trace was."""


def treat(path: Path, finder: Finder, whole: bool) -> str:
    """Take what ``finder`` looks for out of a file; return "removed" or "rewritten".

    Args:
        path: a file with a trace.
        finder: says what a trace is.
        whole: whether the file can only be removed: its name is the hash of its content.
    """
    for rewrite in () if whole else _rewrites(path):
        rewrite(path, finder)
        if not path.exists():
            return "removed"
        if not finder.in_file(path):
            return "rewritten"
    path.unlink(missing_ok=True)
    return "removed"


def _rewrites(path: Path) -> list[Callable[[Path, Finder], None]]:
    start = path.read_bytes()[:16]
    if start.startswith(b"SQLite format 3"):
        return [_database]
    if start.startswith(b"PAR1"):
        return [_table]
    if path.name == "records.jsonl":
        return [_lines]
    kinds: dict[str, list[Callable[[Path, Finder], None]]] = {
        ".yaml": [_yaml],
        ".yml": [_yaml],
        ".lock": [_yaml],
        ".json": [_json, _published],
    }
    return kinds.get(path.suffix, [])


def _table(path: Path, finder: Finder) -> None:
    """Leave the rows of other people; none are left: remove the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = rows(path)
    if found is None:
        return
    kept = [row for row in found if not finder.in_value(row)]
    if not kept:
        path.unlink()
        return
    schema = pq.read_schema(path)
    with new_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(kept, schema=schema), temporary)


def _lines(path: Path, finder: Finder) -> None:
    kept = [line for line in path.read_bytes().splitlines(keepends=True) if not finder.in_bytes(line)]
    with new_file(path) as temporary:
        temporary.write_bytes(b"".join(kept))


def _json(path: Path, finder: Finder) -> None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return
    replace_file(path, json.dumps(_hidden(value, finder), indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _published(path: Path, finder: Finder) -> None:
    if path.name in FILES:
        FILES[path.name](path)


def _yaml(path: Path, finder: Finder) -> None:
    """Put pseudonyms in place of the IDs; comments, quotes and order stay."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    values = yaml.load(path.read_text(encoding="utf-8"))
    _hide_in_place(values, finder)
    stream = StringIO()
    yaml.dump(values, stream)
    replace_file(path, stream.getvalue())


def _hide_in_place(value: Any, finder: Finder) -> None:
    if isinstance(value, dict):
        for key, part in value.items():
            if key in ID_LISTS and isinstance(part, list):
                part[:] = [_hidden_id(one, finder) for one in part]
            else:
                _hide_in_place(part, finder)
    elif isinstance(value, list):
        for part in value:
            _hide_in_place(part, finder)


def _hidden(value: Any, finder: Finder, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _hidden(part, finder, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_hidden(part, finder, key) for part in value]
    return _hidden_id(value, finder) if key in OF_PEOPLE else value


def _hidden_id(value: Any, finder: Finder) -> Any:
    person = canonical_text(value) if isinstance(value, str) else ""
    return pseudonym(person) if person in finder.traces.ids else value


def _database(path: Path, finder: Finder) -> None:
    """Overwrite each value of MLflow's database that has a trace, and leave nothing of it in free pages."""
    with closing(sqlite3.connect(path, timeout=60)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = [column[1] for column in database.execute(f"PRAGMA table_info({quoted(table)})")]
            found = database.execute(f"SELECT rowid, * FROM {quoted(table)}").fetchall()  # noqa: S608 - SQLite can't bind names; quoted() escapes them
            for number, *cells in found:
                named = finder.in_value(": ".join(map(str, cells[:2])))
                for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
                    if finder.in_value(cell) or (named and place == 1):
                        change = f"UPDATE {quoted(table)} SET {quoted(column)} = ? WHERE rowid = ?"  # noqa: S608 - SQLite can't bind names; quoted() escapes them
                        database.execute(change, (REMOVED, number))
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("VACUUM")


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    shutil.rmtree(path, ignore_errors=True)
