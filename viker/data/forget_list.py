"""Whom the forget requests, or ``prepare.forget_ids`` in their place, ask to forget, and who is gone already."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from viker.core.errors import UserError
from viker.data.formats.base.people import UnknownPerson
from viker.data.requests import ForgetRequest, as_folder, people_of, read_requests
from viker.data.settings import PrepareParams


@dataclass(frozen=True)
class Asked:
    """What a run of prepare is asked to do."""

    people: list[str]
    """Whom to forget; nobody: the benchmark's own split."""
    gone: list[str]
    """Who was forgotten by a request that is carried out: they are in no split."""
    pending: dict[Path, ForgetRequest]
    override: list[str]

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say of an ID that nobody has, in the block, who asked for it."""
        try:
            yield
        except UnknownPerson as unknown:
            files = [path for path, request in self.pending.items() if unknown.person_id in request.people]
            by_override = unknown.person_id in self.override or not files
            origin = "prepare.forget_ids" if by_override else f"{files[0]}: 'people'"
            raise UserError(f"{origin} {unknown.problem}") from None

    def carried_by(self, forgotten: Iterable[str]) -> list[str]:
        """Return the IDs of the pending requests all of whose people are forgotten, now or earlier."""
        done = {*forgotten, *self.gone}
        return sorted(request.id for request in self.pending.values() if done.issuperset(request.people))


@contextmanager
def with_requests(params: PrepareParams, given: str | None) -> Iterator[PrepareParams]:
    """Yield ``params`` with the request files of ``given``, JSON of their texts by name, as the folder of requests."""
    if given is None:
        yield params
        return
    with as_folder(given) as folder:
        yield params.model_copy(update={"requests": str(folder)})


def read_asked(params: PrepareParams) -> Asked:
    """Read the requests of the folder ``prepare.requests``.

    Raises:
        UserError: a file there isn't a request, or two have the same ID.
    """
    requests = read_requests(Path(params.requests))
    pending = {path: request for path, request in requests.items() if request.carried_out is None}
    gone = people_of(request for request in requests.values() if request.carried_out)
    return Asked(params.forget_ids or people_of(pending.values()), gone, pending, params.forget_ids)
