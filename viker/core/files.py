"""Files that appear whole or not at all, and their hashes."""

import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from viker.core.errors import UserError

Shape = TypeVar("Shape")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of ``path`` to write to; it takes that name when the block succeeds.

    A file that it replaces leaves it its permissions.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path, temporary):
            yield temporary
            if path.is_file():
                temporary.chmod(path.stat().st_mode & 0o777 | 0o200)  # DVC write-protects what it links to its cache
            temporary.replace(path)
    finally:
        with suppress(OSError):  # of a read-only file system, which has said so already
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Note in an error of the block what was being written, for ``viker.core.system_errors.system_error``.

    ``output``: the path, unless the error names a file that isn't at or in ``path`` or ``temporary``, which is written
    to in its place; ``written``: the bytes written so far.
    """
    target = temporary or path
    try:
        yield
    except Exception as error:  # whatever it is, it is raised again; the system's names the file
        named = getattr(error, "filename", None)
        elsewhere = isinstance(named, str | bytes) and not Path(os.fsdecode(named)).absolute().is_relative_to(
            target.absolute()
        )
        if not elsewhere and not hasattr(error, "output"):
            with suppress(AttributeError, OSError):
                error.output = path  # type: ignore[attr-defined]  # what the handler names
                files = [target] if target.is_file() else target.rglob("*")
                error.written = sum(file.lstat().st_size for file in files)  # type: ignore[attr-defined]  # as above
        raise


def create_file(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a new file, UTF-8: whole, durable, and never over another one, also where several processes try at once.

    ``mode``: its permissions, of which the umask takes some.

    Raises FileExistsError: there is one of that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with writing(path, temporary):
            _write_durably(temporary, text, "w", mode)
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                _write_durably(path, text, "x", mode)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_file(path: Path, text: str) -> None:
    """Write ``text``, UTF-8, in place of a file: whole, and durable when this returns."""
    with new_file(path) as temporary:
        _write_durably(temporary, text, "w")
    _sync_folder(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes on this machine that lock ``folder`` too out of the block; it is created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # of a file system without locks; files are still created exclusively
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_durably(path: Path, text: str, how: Literal["w", "x"], mode: int = 0o666) -> None:
    with open(path, how, encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def private_files(public: Iterable[Path] = ()) -> Iterator[None]:
    """Make what the block writes readable by its owner alone: files 0600, folders 0700; ``public`` as usual."""
    public = list(public)
    new = [folder for path in public for folder in path.parents if not folder.exists()]
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
        inside = (file for path in public if path.is_dir() for file in path.rglob("*"))
        for path in {*public, *new, *inside}:
            if path.exists() and not path.is_symlink():
                path.chmod((0o777 if path.is_dir() else 0o666) & ~before)


def is_hidden(name: str) -> bool:
    """Return whether a name is of what systems and editors leave beside people's files: it is nobody's data.

    These are names with a leading dot (``._x``, ``.DS_Store``, ``.~lock.x#``), Office's locks (``~$x``), Emacs' copies
    (``#x#``), and folders and files of Windows, macOS and volumes.
    """
    known = ("thumbs.db", "desktop.ini", "__macosx", "lost+found", "$recycle.bin", "system volume information")
    return name.startswith((".", "~$")) or bool(re.fullmatch("#.*#", name)) or name.casefold() in known


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
    try:
        with writing(path, temporary):
            temporary.mkdir()
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


class MissingKey(UserError, KeyError):
    """A JSON file lacks a key; a ``KeyError`` too, for code and templates that allow for that."""

    __str__ = Exception.__str__


class Document(dict[str, Any]):
    """An object of a JSON file that a stage writes; asking for a key that it lacks is a ``UserError``."""

    def __init__(self, values: Mapping[str, Any], path: Path, made_by: str) -> None:
        """Keep ``values``, and for messages the file and the stage that writes it."""
        super().__init__(values)
        self.path, self.made_by = path, made_by

    def __missing__(self, key: str) -> Any:
        """Raise a ``MissingKey`` that names the file and the key."""
        raise MissingKey(
            f"{self.path}: no key '{key}'. Another version wrote it, or it was edited or damaged: run 'viker "
            f"{self.made_by}' again."
        )


@overload
def read_json(path: Path, made_by: str) -> dict[str, Any]: ...
@overload
def read_json(path: Path, made_by: str, shape: type[Shape]) -> Shape: ...
def read_json(path: Path, made_by: str, shape: type[Any] = dict[str, Any]) -> Any:
    """Read a JSON file that the stage ``made_by`` writes: an object, see ``Document``.

    ``shape`` is the ``TypedDict`` of the keys whose types are checked; what it doesn't name may be anything.

    Raises UserError: the file is missing, not JSON, holds something else than an object, or a value is no such.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_hook=lambda one: Document(one, path, made_by))
    except FileNotFoundError:
        raise not_written(path, made_by) from None
    except (ValueError, RecursionError) as error:
        reason = str(error)[:200]
        raise UserError(f"{path}: not JSON ({reason}). Run 'viker {made_by}' again.") from None
    if not isinstance(value, dict):
        raise UserError(
            f"{path}: expected a JSON object, found {type(value).__name__}. Another version wrote it, or it "
            f"was edited or damaged: run 'viker {made_by}' again."
        )
    try:
        TypeAdapter(shape).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{path}: '{'.'.join(map(str, first['loc']))}': {first['msg'][0].lower()}{first['msg'][1:]}, found "
            f"{type(first['input']).__name__}. Another version wrote it, or it was edited or damaged: run 'viker "
            f"{made_by}' again."
        ) from None
    return value


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


def sha256_path(path: Path, visible: bool = False) -> str:
    """Return the SHA-256 of a file, or of a folder: of its relative names and its files' hashes in sorted order.

    ``visible``: hidden files, see ``is_hidden``, don't count.
    """
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        if visible and any(map(is_hidden, file.relative_to(path).parts)):
            continue
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
