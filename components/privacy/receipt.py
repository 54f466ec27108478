"""The receipt of a purge: what was removed and that nothing was found afterwards, sealed, and signed where there is a
key."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.privacy.purge import Purge, people_hashes
from viker.core.files import read_json, sha256_path, write_json
from viker.core.pseudonyms import privacy_folder
from viker.data.guard import guard_file
from viker.evidence.seal import seal
from viker.evidence.signature import sign_file


def receipt(
    purge: Purge,
    removed: Mapping[str, str],
    remote: list[str] | None,
    searched: Mapping[str, int],
    not_covered: list[str],
) -> dict[str, Any]:
    """Return the receipt: requests with dates and salted hashes of their people, what was done, what was searched."""
    return seal(
        {
            "purge": purge.name,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "requests": [
                {
                    "id": name,
                    "received": str(request.date),
                    "due": str(request.deadline),
                    "reason": request.reason,
                    "carried_out": request.carried_out.model_dump(mode="json") if request.carried_out else None,
                    "people": people_hashes(request),
                    "guard_set": sha256_path(guard_file(name)) if guard_file(name).is_file() else None,
                }
                for name, request in sorted(purge.requests.items())
            ],
            "done": dict(sorted(removed.items())),
            "remote": remote,
            "searched": dict(searched),
            "not_covered": not_covered,
        }
    )


def write_receipt(path: Path, content: Mapping[str, Any]) -> None:
    """Write a receipt, and its signature beside it where there is a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(path, content)
    sign_file(path)


def find_receipt(request: str) -> dict[str, Any] | None:
    """Return the receipt of the purge of a request; None where it was not purged here."""
    for path in sorted((privacy_folder() / "receipts").glob("*.json")):
        content = read_json(path, "purge")
        if any(one["id"] == request for one in content.get("requests", ())):
            return content
    return None
