"""The evidence bundle: one ZIP file in a canonical form, so that no byte of it can be changed unnoticed.

Entries are stored uncompressed, sorted by name, without times or comments. ``manifest.json`` holds the size and
SHA-256 of every other entry and is sealed. Reading a bundle writes it again and compares the bytes.
"""

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.evidence.seal import check_seal, seal

MANIFEST = "manifest.json"
FORMAT = 1
LARGEST = 2**29
"""Bytes; a larger file is not an evidence bundle."""
_ADVICE = "Don't rely on it: get the bundle again from where it was written."


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the bundle of some files, given by name, with its manifest."""
    listed = {name: {"bytes": len(content), "sha256": sha256_bytes(content)} for name, content in files.items()}
    return _zipped({**files, MANIFEST: json_bytes(seal({"format": FORMAT, "files": listed}))})


def unpack(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle by name, without its manifest, checked to the byte.

    Args:
        path: the ZIP file, or a folder with what was in it.

    Raises UserError: it is not a bundle, or differs from what was written; the message names the files.
    """
    entries = _folder(path) if path.is_dir() else _file(path)
    if MANIFEST not in entries:
        raise UserError(f"{path}: no evidence bundle, it has no {MANIFEST}. Expected what 'viker report' writes.")
    files = {name: content for name, content in entries.items() if name != MANIFEST}
    differences = _differences(files, entries[MANIFEST])
    if not differences and path.is_file() and _zipped(entries) != path.read_bytes():
        differences = ["the files are as they were written, but bytes between or around them were changed"]
    if differences:
        more = f"; and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise UserError(f"{path} is not as it was written: {'; '.join(differences[:5])}{more}. {_ADVICE}")
    return files


def _differences(files: Mapping[str, bytes], manifest: bytes) -> list[str]:
    """Return one clause for each difference between the files and their manifest."""
    try:
        content = json.loads(manifest)
        listed = {name: (entry["bytes"], entry["sha256"]) for name, entry in content["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [f"{MANIFEST} can't be read"]
    if content.get("format") != FORMAT:
        return [f"{MANIFEST} has format {content.get('format')!r}, this version reads {FORMAT}"]
    if not check_seal(content) or json_bytes(content) != manifest:
        return [f"{MANIFEST} was changed: its digest does not fit its content"]
    missing = [f"{name} is missing" for name in sorted(listed.keys() - files.keys())]
    added = [f"{name!r} was added" for name in sorted(files.keys() - listed.keys())]
    changed = [
        f"{name}: SHA-256 {sha256_bytes(files[name])[:12]}…, written with {str(listed[name][1])[:12]}…"
        for name in sorted(files.keys() & listed.keys())
        if (len(files[name]), sha256_bytes(files[name])) != listed[name]
    ]
    return missing + added + changed


def _file(path: Path) -> dict[str, bytes]:
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: larger than {LARGEST >> 20} MiB, so not an evidence bundle.")
        content = path.read_bytes()
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else f"can't be read ({error.strerror})"
        raise UserError(f"{path}: {why}. Expected the evidence bundle that 'viker report' writes.") from None
    try:
        return _entries(content)
    except Exception as error:  # whatever zipfile raises on damaged bytes means the same
        raise UserError(f"{path} is not as it was written, or never was a bundle ({error}). {_ADVICE}") from None


def _entries(content: bytes) -> dict[str, bytes]:
    """Return the entries by name without checking zipfile's CRC: the manifest's SHA-256 says which file was changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it was packed again")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("a name occurs twice in it")
    return {entry.filename: _stored(content, entry) for entry in entries}


def _stored(content: bytes, entry: zipfile.ZipInfo) -> bytes:
    """Return the bytes of an uncompressed entry: they follow its local header, 30 bytes, a name and an extra field."""
    name_length, extra_length = struct.unpack_from("<HH", content, entry.header_offset + 26)
    start = entry.header_offset + 30 + name_length + extra_length
    return content[start : start + entry.file_size]


def _folder(path: Path) -> dict[str, bytes]:
    files = sorted(file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
    special = [file for file in files if file.is_symlink() or not file.is_file()]
    if special:
        raise UserError(f"{special[0]}: not a regular file. {_ADVICE}")
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def json_bytes(value: Any) -> bytes:
    """Return JSON as it lies in a bundle."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
