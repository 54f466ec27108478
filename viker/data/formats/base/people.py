"""Who is in the data, and who of them is to be forgotten."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from viker.core.errors import UserError, did_you_mean
from viker.data.canonical import canonical_text, folded, with_code_points
from viker.data.formats.base.shards import rows, shards


class UnknownPerson(UserError):
    """An ID to forget that nobody in the data has; callers that know the request re-raise it with the file's name."""

    def __init__(self, person_id: str, known: Iterable[str]) -> None:
        """Name the ID and similar ones."""
        self.person_id = person_id
        alike = next((one for one in sorted(known) if folded(one) == folded(person_id)), None)
        hint = f". The data has {with_code_points(alike)}" if alike else did_you_mean(person_id, known)
        name = with_code_points(person_id) if alike else repr(person_id)
        self.problem = f"names {name}, an ID that nobody in the data has{hint}"
        super().__init__(f"prepare.forget_ids or a request {self.problem}")


def read_people(folders: Sequence[Path], forget_ids: Sequence[str], gone: Collection[str]) -> tuple[set[str], set[str]]:
    """Return who is in the configurations, by their column ``ID``, and who of them is to be forgotten.

    They have one row per person; the people of the first are forgotten where ``forget_ids`` names nobody. Raises as
    ``check_people`` and ``check_forget`` do.
    """
    ids = [[(where, row["ID"]) for where, row in rows(shards(folder), {"ID": pa.string()})] for folder in folders]
    known = check_people(pair for pairs in ids for pair in pairs)
    return known, check_forget(forget_ids or [person for _, person in ids[0]], known, gone)


def check_people(located: Iterable[tuple[str, str | None]]) -> set[str]:
    """Return the IDs of (where, ID) pairs, one pair per person.

    Raises UserError: an ID is empty, there twice, or differs from another only in case, width or white space.
    """
    known: dict[str, tuple[str, str]] = {}
    for where, person in located:
        if not person or not canonical_text(person):
            raise UserError(f"{where}, column ID: an empty ID; every row names its person.")
        alike = known.setdefault(folded(person), (person, where))
        if alike[1] != where and canonical_text(alike[0]) == canonical_text(person):
            raise UserError(f"{where}: ID '{person}' is also at {alike[1]}; a person is in one split.")
        if alike[1] != where:
            raise UserError(
                f"{where}: ID {with_code_points(person)} differs from {with_code_points(alike[0])} at {alike[1]} only "
                "in case, width or white space; give one person one ID."
            )
    return {person for person, _ in known.values()}


def check_forget(forget_ids: Iterable[str], known: set[str], gone: Collection[str]) -> set[str]:
    """Return whom to forget: nobody, where everyone named was forgotten earlier.

    Raises UserError: an ID that nobody has, or nobody would be left to retain.
    """
    forgotten = {person for person in forget_ids if person not in gone}
    left = {person for person in known if person not in gone}
    for unknown in sorted(forgotten - known):
        raise UnknownPerson(unknown, known)
    if not left:
        raise UserError("everybody in the data was forgotten on request: nobody is left to retain. Add data of others.")
    if forgotten >= left:
        raise UserError("prepare.forget_ids or the requests name everybody: nobody would be left to retain.")
    return forgotten
