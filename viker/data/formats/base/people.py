"""Who is in the data, and who of them is to be forgotten."""

from collections.abc import Iterable, Sequence

from viker.core.errors import UserError, did_you_mean


class UnknownPerson(UserError):
    """An ID to forget that nobody in the data has; whoever knows who asked for it says so in its place."""

    def __init__(self, person_id: str, known: Iterable[str]) -> None:
        """Name the ID and those like it."""
        self.person_id = person_id
        self.problem = f"names '{person_id}', an ID that nobody in the data has{did_you_mean(person_id, known)}"
        super().__init__(f"prepare.forget_ids or a request {self.problem}")


def check_people(found: Iterable[tuple[str, str | None]]) -> set[str]:
    """Return the IDs of (where, ID) pairs, one pair a person.

    Raises:
        UserError: an ID is empty, there twice, or differs from another only in case or white space.
    """
    known: dict[str, tuple[str, str]] = {}
    for where, person in found:
        if not person or not person.strip():
            raise UserError(f"{where}, column ID: an empty ID; every row names its person.")
        alike = known.get(fold(person))
        if alike and alike[0] == person:
            raise UserError(f"{where}: ID '{person}' is also at {alike[1]}; a person is in one split.")
        if alike:
            raise UserError(
                f"{where}: ID {person!r} differs from {alike[0]!r} at {alike[1]} only in case or white space; "
                "give one person one ID."
            )
        known[fold(person)] = (person, where)
    return {person for person, _ in known.values()}


def check_strangers(found: Iterable[tuple[str, str | None]], known: set[str]) -> None:
    """Check (where, ID) of people whom no model was trained on, one pair a person.

    Raises:
        UserError: an ID is wrong, see ``check_people``, or that of somebody who is trained on.
    """
    pairs = list(found)
    check_people(pairs)
    for where, person in pairs:
        if person in known:
            raise UserError(f"{where}: '{person}' is trained on, so can't be among the unseen; remove one of the two.")


def check_forget(forget_ids: Iterable[str], known: set[str], gone: Sequence[str]) -> set[str]:
    """Return whom to forget.

    Raises:
        UserError: an ID that nobody has, or nobody would be left to retain.
    """
    forgotten = set(forget_ids) - set(gone)
    for unknown in sorted(forgotten - known):
        raise UnknownPerson(unknown, known)
    if not forgotten:
        raise UserError("nobody is left to forget: everyone named was forgotten earlier. Add a request.")
    if forgotten >= known - set(gone):
        raise UserError("prepare.forget_ids or the requests name everybody: nobody would be left to retain.")
    return forgotten


def fold(person: str) -> str:
    """Return an ID without what people overlook: case and white space."""
    return "".join(person.split()).casefold()
