"""Remote data: fetches what ``s3://``, ``hf://`` and ``dvc+`` URIs name into a cache."""

import hashlib
import re
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.core.redact import has_credentials, without_secrets


def is_remote(uri: str) -> bool:
    """Return whether ``uri`` names something to fetch, and not a path."""
    return "://" in uri or uri.startswith("dvc+")


def fetch(uri: str, revision: str | None, cache: Path) -> Path:
    """Return the file or folder that ``uri`` names, fetched where it isn't local.

    Files that are in ``cache`` with the right size and checksum aren't fetched again, also after an interrupted fetch.
    A file of the result is complete or absent.

    Args:
        uri: a path, ``s3://BUCKET/PREFIX`` (all objects below that prefix, or one object), ``hf://OWNER/NAME`` (a data
            set) or ``dvc+GIT#PATH`` (what DVC tracks in a git repository).
        revision: commit or tag of a data set on the hub, or of a git repository; None for all else.
        cache: the folder for what is fetched, a subfolder for each source and revision.

    Raises:
        UserError: there is no such file, bucket, prefix, data set or revision; access is denied; the network fails;
            a checksum is wrong; or a name leads out of the folder.
    """
    refuse_credentials(uri)
    if revision is not None and not _has_revisions(uri):
        raise UserError(f"revision '{revision}': only hf:// and dvc+ have revisions, '{uri}' has none. Set it to null.")
    if not is_remote(uri):
        if not Path(uri).exists():
            raise UserError(f"'{uri}': no such file or folder. Expected a path, s3://BUCKET/PREFIX or hf://OWNER/NAME.")
        return Path(uri)
    source = f"{uri.rstrip('/')}@{revision or ''}"  # the folder's name is readable, and no two sources share it
    readable = re.sub(r"[^A-Za-z0-9]+", "-", source).strip("-")[:60]
    folder = cache / f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    if uri.startswith("s3://"):
        from viker.storage.s3 import fetch_s3

        return fetch_s3(uri, folder)
    if _has_revisions(uri):
        module, commit = _pinned(uri, revision)
        target: Path = module.fetch(uri, commit, folder)
        return target
    scheme = uri.partition("://")[0]
    raise UserError(f"'{scheme}://' is not known here. Expected a path, s3://BUCKET/PREFIX or hf://OWNER/NAME.")


def refuse_credentials(uri: str) -> None:
    """Raise a ``UserError``, which doesn't repeat them, if there are credentials in an address."""
    if is_remote(uri) and has_credentials(uri):
        raise UserError(
            f"the address {without_secrets(uri)} has credentials in it. Take them out of it, and consider them known: "
            "they would be in files and logs. They come from the environment (AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY or AWS_PROFILE, HF_TOKEN, or git's credential helper)."
        )


def pin(uri: str, revision: str | None) -> str | None:
    """Return the commit that ``revision`` names now; None for a URI without revisions.

    Raises UserError: it has revisions and none is given, or there is no such revision.
    """
    refuse_credentials(uri)
    if not _has_revisions(uri):
        return revision
    module, named = _pinned(uri, revision)
    return str(module.commit_of(uri, named))


def state(uri: str) -> str:
    """Return a text that changes with what ``uri`` names, without fetching it.

    Empty for a URI with revisions: these tell it. For a path it is the hash of everything there.

    Raises UserError: there is nothing, or it can't be reached.
    """
    refuse_credentials(uri)
    if uri.startswith("s3://"):
        from viker.storage.s3 import listing

        return listing(uri)
    if _has_revisions(uri):
        return ""
    return sha256_path(fetch(uri, None, Path()))


def _has_revisions(uri: str) -> bool:
    return uri.startswith(("hf://", "dvc+"))


def _pinned(uri: str, revision: str | None) -> tuple[Any, str]:
    """Return the module for a URI with revisions, and its revision; without one, the results would change with time."""
    from viker.storage import dvc, hub

    if revision is None:
        raise UserError(
            f"{uri}: it has no revision. Name a commit or tag (prepare.revision), so that the data stay the same; "
            f"'viker data import {uri}' takes the newest commit and writes it down."
        )
    return (hub if uri.startswith("hf://") else dvc), revision
