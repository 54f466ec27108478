"""Purged requests are marked: pseudonyms take the place of their people, and the day is noted."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from viker.core.files import replace_file
from viker.data.requests import purged
from viker.storage import is_remote


def mark(path: Path) -> None:
    """Mark the request in a file, which is carried out."""
    replace_file(path, purged(path.read_text(encoding="utf-8"), datetime.now(UTC).date()))


def mark_in_s3(where: str, requests: Collection[str]) -> None:
    """Mark the requests with these IDs in a folder of S3, but those that are; nothing where ``where`` is a local one.

    Raises UserError: one can't be read or written, or somebody else changes it meanwhile.
    """
    if not is_remote(where):
        return
    import tempfile

    from viker.data.requests import read_requests
    from viker.storage import fetch
    from viker.storage.s3 import read_s3, replace_s3

    with tempfile.TemporaryDirectory() as scratch:
        found = read_requests(fetch(where, None, Path(scratch)))
    for file in (path.name for path, request in found.items() if request.id in requests and not request.purged):
        place = f"{where.rstrip('/')}/{file}"
        content, etag = read_s3(place)
        replace_s3(place, purged(content.decode(), datetime.now(UTC).date()).encode(), etag)
