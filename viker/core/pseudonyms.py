"""Pseudonyms of people: keyed hashes of their IDs, under a key that stays with whoever carries out the requests.

What is published (MLflow, model packages) names people by them, and so does a request that was purged: whoever has the
key can tell whether an ID is meant, nobody else can, not even by trying all IDs.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
from base64 import b32encode
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from viker.core.errors import UserError
from viker.core.files import create_file
from viker.core.mlflow_store import repository_of

VARIABLE = "VIKER_PRIVACY_KEY"
SHORTEST = 16
"""Characters of a key that is given in ``VARIABLE``."""
_PSEUDONYM = re.compile(r"P-[a-z2-7]{16}")

log = logging.getLogger(__name__)


def privacy_folder() -> Path:
    """Return the folder of keys, guard sets, receipts and the audit log.

    It is VIKER_PRIVACY_DIR; or ``privacy`` beside VIKER_TRACKING_DIR, such as on a volume that tasks share; or
    ``privacy`` in the work tree: that of the repository in a copy that DVC makes for an experiment.
    """
    tracking = os.environ.get("VIKER_TRACKING_DIR")
    folder = Path(
        os.environ.get("VIKER_PRIVACY_DIR") or (Path(tracking).with_name("privacy") if tracking else "privacy")
    )
    repository = repository_of(Path.cwd())
    return folder if repository is None or folder.is_absolute() else repository / folder


def pseudonym(person: str) -> str:
    """Return a person's pseudonym; that of a pseudonym is itself.

    Raises UserError: the key in VIKER_PRIVACY_KEY is too short.
    """
    if is_pseudonym(person):
        return person
    digest = hmac.digest(privacy_key(), b"viker person\0" + person.encode(), hashlib.sha256)
    return f"P-{b32encode(digest)[:16].decode().lower()}"


def is_pseudonym(person: str) -> bool:
    """Return whether an ID is a pseudonym already."""
    return _PSEUDONYM.fullmatch(person) is not None


class People(frozenset[str]):
    """IDs of people, some of them perhaps as pseudonyms; a person is in it under either."""

    def __contains__(self, person: object) -> bool:
        """Return whether the person is one of these; the key is needed only where a pseudonym is compared."""
        if super().__contains__(person) or not self or not isinstance(person, str):
            return super().__contains__(person)
        if is_pseudonym(person):
            return any(not is_pseudonym(one) and pseudonym(one) == person for one in self)
        return any(map(is_pseudonym, self)) and super().__contains__(pseudonym(person))

    def without(self, others: Iterable[str]) -> list[str]:
        """Return those who are not among ``others``, sorted, each once: by ID rather than pseudonym."""
        them = People(others)
        lacking = [person for person in self if person not in them]
        by_id = People(person for person in lacking if not is_pseudonym(person))
        return sorted(one for one in lacking if not is_pseudonym(one) or one not in by_id)


def salt(request: str) -> str:
    """Return the salt of a request's hashes in its receipt: secret until it is given to the person who asked."""
    return hmac.digest(privacy_key(), b"viker receipt\0" + request.encode(), hashlib.sha256).hex()[:32]


def privacy_key() -> bytes:
    """Return the key: VIKER_PRIVACY_KEY, or the file ``key`` in ``privacy_folder``, which is made where there is none.

    Raises UserError: VIKER_PRIVACY_KEY is too short.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        if len(given) < SHORTEST:
            raise UserError(
                f"{VARIABLE} has {len(given)} characters; expected at least {SHORTEST} that nobody can guess, such as "
                "the output of 'openssl rand -hex 32'."
            )
        return given.encode()
    path = privacy_folder() / "key"
    if not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was faster
            create_file(path, secrets.token_hex(32), 0o600)
            log.warning(
                "%s: made; it is the key of people's pseudonyms. Keep a copy: without it, who was forgotten earlier "
                "can't be compared with who is now. Machines that share a registry share it, in %s.",
                path,
                VARIABLE,
            )
    return path.read_bytes().strip()
