"""Whom to forget: the people of the pending requests, or of ``prepare.forget_ids`` in their place; and who is gone."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from viker.core.errors import UserError
from viker.core.pseudonyms import People
from viker.data.canonical import canonical_text
from viker.data.formats.base.people import UnknownPerson
from viker.data.requests import ForgetRequest, as_folder, people_of, read_requests
from viker.data.settings import PrepareParams
from viker.storage import fetch, is_remote


@dataclass(frozen=True)
class ForgetList:
    """Whom a run of prepare is to forget, and on whose request; people are in the canonical form."""

    people: list[str]
    """Whom to forget; nobody: the benchmark's own split."""
    gone: list[str]
    """Who was forgotten by a request that is carried out: they are in no split. Of a purged request, pseudonyms."""
    pending: dict[Path, ForgetRequest]
    override: list[str]
    """``prepare.forget_ids``."""

    @contextmanager
    def naming_requests(self) -> Iterator[None]:
        """Name in an ``UnknownPerson`` raised in the block the request, or the parameter, that names the person."""
        try:
            yield
        except UnknownPerson as unknown:
            files = [path for path, request in self.pending.items() if unknown.person_id in request.identities]
            by_override = unknown.person_id in self.override or not files
            origin = "prepare.forget_ids" if by_override else f"{files[0]}: 'people'"
            raise UserError(f"{origin} {unknown.problem}") from None

    def fulfilled_by(self, forgotten: Iterable[str]) -> list[str]:
        """Return the IDs of the pending requests all of whose people are forgotten, now or earlier."""
        everyone = People([*forgotten, *self.gone])
        return sorted(r.id for r in self.pending.values() if all(person in everyone for person in r.identities))


@contextmanager
def with_requests(params: PrepareParams, requests: Path | None) -> Iterator[PrepareParams]:
    """Yield ``params`` with ``requests`` in place of the folder of requests.

    It is a JSON file of request files' texts by name; None: yield ``params`` unchanged.
    """
    if requests is None:
        yield params
        return
    with as_folder(requests) as folder:
        yield params.model_copy(update={"requests": str(folder)})


def read_forget_list(params: PrepareParams, cache: Path) -> ForgetList:
    """Read the requests of the folder ``prepare.requests``; ``cache`` keeps what is fetched of a remote one.

    Raises UserError: a file there isn't a request, or two have the same ID.
    """
    try:
        folder = fetch(params.requests, None, cache) if is_remote(params.requests) else Path(params.requests)
    except UserError as error:
        raise UserError(f"prepare.requests: {error}") from None
    requests = read_requests(folder)
    pending = {path: request for path, request in requests.items() if request.carried_out is None}
    gone = people_of(request for request in requests.values() if request.carried_out)
    override = [canonical_text(person) for person in params.forget_ids]
    return ForgetList(override or people_of(pending.values()), gone, pending, override)
