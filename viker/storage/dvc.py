"""``dvc+GIT#PATH``: data that DVC tracks in a git repository, at one commit, fetched from DVC's remote."""

import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.redact import without_secrets
from viker.core.system_errors import system_error
from viker.storage.checksums import md5_of


def commit_of(uri: str, revision: str) -> str:
    """Return the commit of a branch, tag or commit of the git repository.

    Raises UserError: no such repository or revision, or no access.
    """
    from dvc.repo import Repo

    address, _ = _parts(uri)
    with explained(uri, revision), Repo.open(address, rev=revision) as repo:
        return str(repo.get_rev())


def fetch(uri: str, revision: str, folder: Path) -> Path:
    """Fetch the file or folder that DVC tracks at PATH into ``folder/files``; each file is held to DVC's MD5.

    A complete fetch is not repeated: a commit never changes.

    Raises UserError: see ``commit_of``; or there is no such path, the remote doesn't have it, or a checksum is wrong.
    """
    address, path = _parts(uri)
    target, complete = folder / "files" / Path(path).name, folder / "complete"
    if complete.is_file() and target.exists():
        return target
    from dvc.api import DVCFileSystem

    shutil.rmtree(folder, ignore_errors=True)
    target.parent.mkdir(parents=True)
    with explained(uri, revision):
        system: Any = DVCFileSystem(address, rev=revision)
        files = system.find(path, detail=True)
        if not files:
            raise UserError(f"{uri}: nothing of that path at '{revision}'. Name what a .dvc file there tracks.")
        system.get(path, str(target), recursive=True)
    for name, facts in files.items():
        file = target / Path(name).relative_to(f"/{path}" if name.startswith("/") else path)
        expected = (facts.get("dvc_info") or {}).get("md5")
        if expected and md5_of(file) != expected:
            raise UserError(f"{uri}: {name} has another checksum than DVC's ({expected}). Push the data again.")
    complete.write_text(f"{revision}\n", encoding="utf-8")
    return target


def _parts(uri: str) -> tuple[str, str]:
    address, _, path = uri.removeprefix("dvc+").partition("#")
    path = path.strip("/")
    if not address or not path or any(part in ("..", ".") for part in path.split("/")):
        raise UserError(f"'{uri}' names no data under DVC. Expected dvc+https://HOST/REPOSITORY.git#data/raw/NAME.")
    return address, path


@contextmanager
def explained(uri: str, revision: str) -> Iterator[None]:
    """Turn what DVC raises into a ``UserError``."""
    from dvc.exceptions import DvcException
    from dvc.scm import CloneError, RevError, SCMError

    _clean_up_at_exit()
    try:
        yield
    except RevError:
        raise UserError(f"{uri}: the repository has no revision '{revision}'. Name a branch, tag or commit.") from None
    except CloneError:
        raise UserError(
            f"{uri}: git can't clone it. Possible causes: another address, no access to it, or no network."
        ) from None
    except (DvcException, SCMError, OSError) as error:
        if problem := system_error(error):
            raise problem from None
        reason = without_secrets(" ".join(str(error).split()))[:300]
        raise UserError(
            f"{uri} at '{revision}': {reason} Possible causes: 'dvc push' was not run there, or there is no access to "
            "DVC's remote, or no network."
        ) from None


@cache
def _clean_up_at_exit() -> None:
    """Have the repositories that DVC clones removed at the end of this process, as DVC's own command line does."""
    from dvc.repo.open_repo import clean_repos

    atexit.register(clean_repos)
