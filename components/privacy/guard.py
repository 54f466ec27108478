"""The guard set: the questions about people who were purged, encrypted, so that a later adapter can be asked again.

Fernet (AES-128-CBC with HMAC-SHA256) under the key in VIKER_GUARD_KEY, which is kept apart from the files.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from components.privacy.traces import Gathered
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


def write_guard(request: str, gathered: Gathered, cipher: Fernet) -> int:
    """Encrypt the records and pictures of a request's people; return how many questions that is. None: no file."""
    if not gathered.records:
        return 0
    pictures = {name: base64.b64encode(content).decode() for name, content in sorted(gathered.pictures.items())}
    records = [asdict(record) for _, record in sorted(gathered.records.items())]
    path = guard_file(request)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with new_file(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_bytes(cipher.encrypt(json.dumps({"records": records, "pictures": pictures}).encode()))
    return len(records)


def read_guard(path: Path, cipher: Fernet) -> tuple[list[Record], Mapping[str, bytes]]:
    """Return records and pictures of a guard set.

    Raises UserError: it was encrypted under another key, or damaged.
    """
    try:
        content = json.loads(cipher.decrypt(path.read_bytes()))
    except InvalidToken:
        raise UserError(f"{path}: {VARIABLE} is not the key that it was encrypted under, or it was damaged.") from None
    rows: list[dict[str, Any]] = content["records"]
    lists = [row | {name: tuple(value) for name, value in row.items() if isinstance(value, list)} for row in rows]
    return [Record(**row) for row in lists], {k: base64.b64decode(v) for k, v in content["pictures"].items()}
