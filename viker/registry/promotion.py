"""Promotion and rollback: the champion is an adapter whose gate passed and that forgets whom the last one forgot."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from viker.core.errors import UserError
from viker.gate.doubts import Policy, for_release, held_to_policy
from viker.registry.stored import Coverage, Record
from viker.registry.verdict import failures
from viker.registry.versions import CHAMPION, PREVIOUS, Registry


class Refused(UserError):
    """A version may not become champion; ``reasons`` says why."""

    def __init__(self, reasons: list[str], message: str) -> None:
        """Keep the reasons besides the message."""
        super().__init__(message)
        self.reasons = reasons


class Moved(NamedTuple):
    """The result of a promotion or a rollback."""

    version: int
    replaced: int | None
    moved: bool  # False: it was the champion already
    overrode: Sequence[str] = ()  # the objections, where it was forced


def promote(registry: Registry, version: int, policy: Policy, reason: str | None = None) -> Moved:
    """Make a version the champion.

    Args:
        registry: the registered model.
        version: its version.
        policy: what the verdict must have been made by.
        reason: promotes in spite of objections, and is kept with the version.

    Raises:
        Refused: the verdict isn't about this adapter, data and policy, the gate failed, or people whom the champion
            has forgotten would be known again. Nothing is changed then.
    """
    with registry.explained("the version was not promoted"):
        record = registry.record(version)
        with registry.lock() as still_mine:
            registry.settle()
            champion = registry.aliases().get(CHAMPION)
            if champion == version:
                return Moved(version, champion, moved=False)
            forgotten = registry.coverage(champion) if champion is not None else Coverage()
            against = objections(record, policy, forgotten, champion)
            how = {"kind": "promotion"} | _overruled(registry, version, against, reason)
            registry.move(version, champion, how, still_mine)
            return Moved(version, champion, moved=True, overrode=against)


def rollback(registry: Registry, carried_out: Mapping[str, Iterable[str]], reason: str | None = None) -> Moved:
    """Make the previous champion the champion again; ``previous`` is then the one that it had replaced.

    Args:
        registry: the registered model.
        carried_out: the requests that are marked as carried out, each with its people; the champion's count too.
        reason: rolls back even where people are known again, and is kept with the version.

    Raises:
        Refused: people of requests that were carried out since would be known again; they are named.
        UserError: there is no previous champion.
    """
    with registry.explained("nothing was rolled back"):
        if CHAMPION not in registry.aliases():
            raise _nothing_before(registry, None)
        with registry.lock() as still_mine:
            cut_off = registry.settle()
            aliases = registry.aliases()
            champion, target = aliases[CHAMPION], aliases.get(PREVIOUS)
            how = registry.promotion(champion)
            if cut_off and how and how["kind"] == "rollback":
                return Moved(champion, how["instead_of"], moved=True)  # it was killed half-way, and is complete now
            if target is None or target == champion:
                raise _nothing_before(registry, champion)
            people = frozenset(person for named in carried_out.values() for person in named)
            forgotten = registry.coverage(champion) | Coverage(frozenset(carried_out), people)
            against = known_again(registry.coverage(target), forgotten, f"version {target}", "carried out since")
            before = registry.promotion(target)
            how = {"kind": "rollback", "instead_of": champion} | _overruled(registry, target, against, reason)
            registry.move(target, before["replaces"] if before else None, how, still_mine)
            return Moved(target, champion, moved=True, overrode=against)


def _nothing_before(registry: Registry, champion: int | None) -> UserError:
    named = f" ({champion})" if champion is not None else ""
    return UserError(
        f"{registry.name} has no version before the champion{named} to go back to. 'viker status' shows the versions; "
        "'viker promote VERSION' takes any."
    )


def objections(record: Record, policy: Policy, forgotten: Coverage, champion: int | None) -> list[str]:
    """Return all objections to a promotion, one clause each; ``forgotten`` is whom the ``champion``, if any, forgot."""
    against = held_to_policy(record.gate, record.metrics, record.training, record.hashes, policy)
    if record.gate and (failed := failures(record.gate)):
        against.append(f"its gate failed: {' '.join(failed)}".rstrip("."))
    if not for_release(policy):
        named = (
            f"the policy '{policy.gate.policy}'" if policy.gate.policy else "a gate of the rules of params.yaml alone"
        )
        against.append(f"{named} is not for a release, which 'release: true' in a policy's file says")
    who = f"version {record.version}"
    return against + known_again(record.coverage, forgotten, who, f"which version {champion} does")


def known_again(coverage: Coverage, forgotten: Coverage, who: str, whose: str) -> list[str]:
    """Return the objection that people of earlier requests would be known again, with their IDs; none if none would."""
    people, requests = coverage.lacking(forgotten)
    if not people and not requests:
        return []
    of = f" of the requests {', '.join(requests)}" if requests else ""
    return [f"{who} does not forget {', '.join(people) or 'the people'}{of}, {whose}: they would be known again"]


def _overruled(registry: Registry, version: int, against: list[str], reason: str | None) -> dict[str, Any]:
    """Return what is noted of objections that were overruled; without a reason they stand."""
    if against and reason is None:
        raise Refused(
            against,
            f"{registry.name} version {version} was not made champion: {'; '.join(against)}. Nothing was changed. "
            "Carry out what is missing and register again; what the champion has forgotten stays forgotten with "
            "unlearn.start_from. --force --reason '…' overrides this and is recorded.",
        )
    return {"reason": reason, "overrode": against} if against else {}
