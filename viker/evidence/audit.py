"""The audit log: one line for each request, verdict, promotion, force and purge, each with the hash of the one before.

Lines are appended only. Whoever changes or removes one has to write all later ones anew, which a hash of the last line
that is kept elsewhere reveals.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from viker.core.errors import UserError
from viker.core.files import canonical, locked, sha256_bytes
from viker.core.pseudonyms import privacy_folder

FIRST = "0" * 64
"""What stands for the hash of the line before the first one."""


class Checked(NamedTuple):
    """An audit log that is whole."""

    lines: int
    last: str
    """The hash of the last line, to be kept elsewhere."""


def audit_log() -> Path:
    """Return where the log lies."""
    return privacy_folder() / "audit.jsonl"


def append(event: str, about: Mapping[str, Any]) -> str:
    """Append an event and return the hash of its line; the same event as in the last line is not repeated.

    Raises UserError: the last line is torn or was changed.
    """
    path = audit_log()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path.parent / "audit"):
        lines = path.read_bytes().splitlines() if path.is_file() else []
        before = check(path).last if lines else FIRST
        if lines and (last := json.loads(lines[-1]))["event"] == event and last["about"] == dict(about):
            return before
        at = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"at": at, "event": event, "about": dict(about), "before": before}
        line = canonical(entry | {"hash": sha256_bytes(canonical(entry))})
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line + b"\n")  # in one write: the line is there or not
            os.fsync(handle)
        finally:
            os.close(handle)
    return str(json.loads(line)["hash"])


def check(path: Path) -> Checked:
    """Return how many lines an audit log has and the last one's hash, if each follows from the one before.

    Raises UserError: there is no log, or a line is torn, was changed, removed or put in; it is named.
    """
    if not path.is_file():
        raise UserError(f"{path}: no audit log here. Promotions, verdicts and purges write it.")
    before, lines = FIRST, path.read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            digest = entry.pop("hash")
            whole = digest == sha256_bytes(canonical(entry)) and entry["before"] == before
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise UserError(
                f"{path}: line {number} of {len(lines)} was changed, or a line before it was removed or put in. Don't "
                "rely on what follows; compare with a copy."
            )
        before = digest
    return Checked(len(lines), before)
