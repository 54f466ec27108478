"""Files that appear whole or not at all, and their hashes."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from viker.core.errors import UserError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of ``path`` to write to; it takes that name when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary neighbour of ``path``; it replaces that folder when the block succeeds.

    Its files get the permissions that the umask gives, whatever the library that wrote them had in mind: safetensors
    writes files that only their owner may read, and the next stage may run as another user of the group.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        readable = temporary.stat().st_mode & 0o666
        for file in temporary.rglob("*"):
            if file.is_file() and not file.is_symlink():
                file.chmod(readable)
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, keys sorted; NaN and infinities become null: JSON has no such numbers."""
    with new_file(path) as temporary:
        text = json.dumps(finite_json(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file that the stage ``made_by`` writes. Raises UserError: the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise not_written(path, made_by) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not JSON ({error}). Run 'viker {made_by}' again.") from None


def read_mapping(path: Path, made_by: str) -> dict[str, Any]:
    """Read a JSON object that the stage ``made_by`` writes. Raises UserError: missing, not JSON, or something else."""
    content = read_json(path, made_by)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}. Run 'viker {made_by}' again.")
    return content


def not_written(path: Path, made_by: str) -> UserError:
    """Return the error for a missing file that the stage ``made_by`` writes."""
    return UserError(f"{path}: no such file. The stage '{made_by}' writes it: run 'viker {made_by}' first.")


def need_folder(path: Path, made_by: str) -> Path:
    """Return ``path`` if it is a folder; raise a UserError that names the stage that makes it if it is not."""
    if not path.is_dir():
        raise UserError(f"{path}: no such folder. The stage '{made_by}' makes it: run 'viker {made_by}' first.")
    return path


def need_file(path: Path, made_by: str) -> Path:
    """Return ``path`` if it is a file. Raises UserError: it is not; the message names the stage that writes it."""
    if not path.is_file():
        raise not_written(path, made_by)
    return path


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_path(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder: of its relative names and its files' hashes in sorted order."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_path(file)}".encode())
    return digest.hexdigest()


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces; NaN and infinities are null, as in the files."""
    text = json.dumps(finite_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return sha256_bytes(canonical(value))


def finite_json(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: NaN and infinities become None, tuples lists."""
    if isinstance(value, dict):
        return {key: finite_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
