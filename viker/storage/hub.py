"""``hf://OWNER/NAME``: the files of a data set on the hub at one commit, as they are there.

The hub's own library fetches, resumes and checks; token, mirror and proxy come from its usual environment variables.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from viker.core.errors import UserError


class NotOnHub(UserError):
    """The hub has no data set of that name, or doesn't show it."""


def commit_of(uri: str, revision: str | None) -> str:
    """Ask the hub for the commit of a revision; None: the newest.

    Raises UserError: no such data set or revision, no access, or no network.
    """
    from huggingface_hub import HfApi

    with explained(uri, revision):
        commit = HfApi().dataset_info(_name(uri), revision=revision).sha
    if commit is None:
        raise UserError(f"{uri}: the hub names no commit for revision '{revision or 'main'}'. Name one yourself.")
    return str(commit)


def fetch(uri: str, revision: str, folder: Path) -> Path:
    """Fetch a data set's files into ``folder/files`` and return it; once they are complete the hub isn't asked again.

    Raises UserError: see ``commit_of``; or a checksum is wrong.
    """
    files, complete = folder / "files", folder / "complete"
    if complete.is_file() and files.is_dir():
        return files
    from huggingface_hub import HfApi, snapshot_download

    commit = commit_of(uri, revision)
    with explained(uri, revision):
        snapshot_download(_name(uri), repo_type="dataset", revision=commit, local_dir=files)
        verified = HfApi().verify_repo_checksums(_name(uri), repo_type="dataset", revision=commit, local_dir=files)
    if verified.mismatches or verified.missing_paths:
        for wrong in verified.mismatches:
            (files / wrong["path"]).unlink()
        named = ", ".join([*(wrong["path"] for wrong in verified.mismatches), *verified.missing_paths][:3])
        raise UserError(f"{uri}: missing, or with a wrong checksum: {named}. Run again to fetch these.")
    shutil.rmtree(files / ".cache", ignore_errors=True)  # the library's own notes
    complete.write_text(f"{commit}\n", encoding="utf-8")
    return files


def _name(uri: str) -> str:
    name = uri.removeprefix("hf://").strip("/")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise UserError(f"'{uri}' names no data set on the hub. Expected hf://OWNER/NAME.")
    return name


@contextmanager
def explained(uri: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's library raises into a ``UserError``."""
    from httpx2 import HTTPError
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        request = "Ask for it on the data set's page, then log in: hf auth login."
        raise UserError(f"{uri}: access is granted on request. {request}") from None
    except errors.RepositoryNotFoundError:
        private = "no such data set, or it is private. Check the name, or log in: hf auth login."
        raise NotOnHub(f"{uri}: {private}") from None
    except errors.RevisionNotFoundError:
        raise UserError(
            f"{uri}: no revision '{revision}'. Name a commit or tag that is on the data set's page."
        ) from None
    except (HTTPError, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        if status := getattr(getattr(error, "response", None), "status_code", None):
            raise UserError(
                f"{uri}: the hub answers with {status}. Possible causes: no access (401, 403: log in with 'hf auth "
                "login'), too many requests (429), or the hub is down (5xx). Try again later."
            ) from None
        at = f" --revision {revision}" if revision else ""
        raise UserError(
            f"{uri}: the hub can't be reached ({type(error).__name__}). On a machine with a network, run 'hf download "
            f"{uri.removeprefix('hf://')} --repo-type dataset{at} --local-dir DATA', copy the folder DATA here and run "
            "'viker data import DATA'."
        ) from None
