"""Guard sets: the questions about people who were purged, encrypted, so that a later adapter can be asked again.

Fernet (AES-128-CBC with HMAC-SHA256) under the key in VIKER_GUARD_KEY, which is kept apart from the files.
"""

import base64
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from viker.core.errors import UserError
from viker.core.files import new_file
from viker.core.pseudonyms import privacy_folder
from viker.data.records import Record

VARIABLE = "VIKER_GUARD_KEY"
HOW = "'python -c \"from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())\"' prints one"


def guard_key() -> Fernet | None:
    """Return the cipher of the guard sets; None where there is no key.

    Raises UserError: VIKER_GUARD_KEY is no key of Fernet.
    """
    key = os.environ.get(VARIABLE)
    if not key:
        return None
    try:
        return Fernet(key)
    except ValueError:
        raise UserError(f"{VARIABLE} is no key of Fernet: expected 32 bytes in URL-safe Base64; {HOW}.") from None


def guard_file(request: str) -> Path:
    """Return where the guard set of a request lies."""
    return privacy_folder() / "guard" / f"{request}.fernet"


def guard_files() -> list[Path]:
    """Return the guard sets that are kept, by request."""
    return sorted((privacy_folder() / "guard").glob("*.fernet"))


def write_guard(request: str, records: Collection[Record], pictures: Mapping[str, bytes], cipher: Fernet) -> int:
    """Encrypt the records and pictures (by hash) of a request's people; return how many records. None: no file."""
    if not records:
        return 0
    rows = [asdict(record) for record in sorted(records, key=lambda record: record.id)]
    encoded = {name: base64.b64encode(content).decode() for name, content in sorted(pictures.items())}
    write_encrypted(guard_file(request), {"records": rows, "pictures": encoded}, cipher)
    return len(rows)


def read_guard(path: Path, cipher: Fernet) -> tuple[list[Record], Mapping[str, bytes]]:
    """Return records and pictures of a guard set.

    Raises UserError: it was encrypted under another key, or damaged.
    """
    content = read_encrypted(path, cipher)
    rows: list[dict[str, Any]] = content["records"]
    lists = [row | {name: tuple(value) for name, value in row.items() if isinstance(value, list)} for row in rows]
    return [Record(**row) for row in lists], {k: base64.b64decode(v) for k, v in content["pictures"].items()}


def write_encrypted(path: Path, content: Any, cipher: Fernet) -> None:
    """Write what JSON can hold, encrypted, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with new_file(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_bytes(cipher.encrypt(json.dumps(content).encode()))


def read_encrypted(path: Path, cipher: Fernet) -> Any:
    """Return what ``write_encrypted`` wrote. Raises UserError: it was encrypted under another key, or damaged."""
    try:
        return json.loads(cipher.decrypt(path.read_bytes()))
    except InvalidToken:
        raise UserError(f"{path}: {VARIABLE} is not the key that it was encrypted under, or it was damaged.") from None
