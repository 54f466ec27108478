"""``hf://OWNER/NAME``: the files of a data set on the hub at one commit, as they are there; and uploads of models.

The hub's own library fetches, resumes and checks; token, mirror and proxy come from its usual environment variables.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from viker.core.errors import UserError
from viker.core.redact import without_secrets

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""OWNER/NAME."""


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


def check_upload(repo: str) -> str:
    """Return the token to upload with. Raises UserError: ``repo`` is no OWNER/NAME, or HF_TOKEN isn't set."""
    if not HUB_NAME.fullmatch(repo):
        raise UserError(f"'{repo}' names no repository on the hub. Expected OWNER/NAME.")
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise UserError("HF_TOKEN is not set: uploads need a token of the hub that may write, in the environment.")
    return token


def push(folder: Path, repo: str, public: bool, message: str) -> str:
    """Upload a folder to a model repository in one commit, and return the commit's address.

    The repository is created where there is none: private, unless ``public``. One that exists keeps its visibility.
    Weights in it that the folder doesn't have are removed; other files stay. The same folder again makes no commit.

    Raises UserError: no token, no right to write, no network; or the repository is public, and ``public`` isn't set.
    """
    token = check_upload(repo)
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with _explained_upload(repo):
        api.create_repo(repo, private=not public, exist_ok=True)
        if not public and not api.model_info(repo).private:
            raise UserError(
                f"{repo} is public on the hub: everybody would see what is pushed to it. Say so with --public, make it "
                "private in its settings, or name another repository."
            )
        stale = ["*.safetensors", "*.safetensors.index.json"]
        done = api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message, delete_patterns=stale)
    return str(done.commit_url)


@contextmanager
def _explained_upload(repo: str) -> Iterator[None]:
    """Turn what the hub's library raises over an upload into a ``UserError``."""
    from httpx2 import HTTPError
    from huggingface_hub import errors

    try:
        yield
    except (HTTPError, errors.OfflineModeIsEnabled, RuntimeError, ValueError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        causes = {401: "HF_TOKEN is not valid", 403: "the token may not write there", 404: "there is no such owner"}
        reason = causes.get(status or 0) or without_secrets(" ".join(str(error).split()))[:200]
        raise UserError(
            f"{repo}: not pushed: {reason}{f' ({status})' if status else ''}. The export is on this disk; the hub has "
            "nothing of it, as a push is one commit."
        ) from None


def _name(uri: str) -> str:
    name = uri.removeprefix("hf://").strip("/")
    if not HUB_NAME.fullmatch(name):
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
