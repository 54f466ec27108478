"""``viker promote`` and ``viker rollback``: which version is the champion."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from components.contract.params import Params, load_params
from pipelines.cli.registry import CACHE, open_registry, requests_folder
from viker.core.console import JsonOption, ParamsOption, say, show
from viker.core.errors import UserError
from viker.core.pseudonyms import People, pseudonym
from viker.data.requests import read_requests
from viker.evidence import audit
from viker.registry.promotion import Moved, Refused
from viker.registry.registration import update_registration
from viker.registry.stored import Coverage
from viker.registry.versions import Registry

RegisteredOption = Annotated[
    Path, typer.Option("--out", help="What register wrote; updated, so that the report shows the change.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Override the rules; needs --reason.")]
ReasonOption = Annotated[
    str | None, typer.Option(help="Why the rules are overridden; kept with the version and shown in the report.")
]


def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A number, or an alias such as candidate.")],
    force: ForceOption = False,
    reason: ReasonOption = None,
    done: Annotated[
        bool, typer.Option(help="Mark the forget requests that the version carries out as done, in prepare.requests.")
    ] = True,
    params: ParamsOption = Path("params.yaml"),
    out: RegisteredOption = Path("metrics/register.json"),
    as_json: JsonOption = False,
) -> None:
    """Make a version the champion, the one in use from now on.

    Refused unless the gate passed on exactly this adapter and its data, by the policy that *params.yaml* names, and
    unless it forgets everybody whom the champion has forgotten on request. The old champion becomes *previous*.
    Promoting the champion again changes nothing. The stage *register* promotes by the same rules.
    """
    override = reason_given(force, reason)
    settings = load_params(params)
    from viker.gate.doubts import Policy
    from viker.gate.policies import load_policy
    from viker.registry import promotion

    registry = open_registry(settings)
    number = registry.number(version)
    policy = Policy(settings.gate, load_policy(settings.gate)[1])
    with _naming_people(settings):
        result = promotion.promote(registry, number, policy, override)
    _note("promotion", registry, result)
    before = f"; before it: version {result.replaced}" if result.replaced is not None else ""
    said = [f"{registry.name} version {number} is the champion{before if result.moved else ' already'}."]
    said += _forced(result, override)
    for line in said if not as_json else ():
        say(line)
    record(registry, out)
    requests = _mark_done(settings, number, registry.coverage(number)) if done else []
    rows = [{"id": name, "carried_out": not missing, "missing": missing} for name, missing in requests]
    lines = [
        f"request {name}: not marked as done: it names {', '.join(missing)}, not forgotten by version {number}."
        if missing
        else f"request {name}: carried out by version {number}."
        for name, missing in requests
    ]
    show(_as_json(registry, result, override) | {"requests": rows}, lines, as_json)


def rollback(
    force: ForceOption = False,
    reason: ReasonOption = None,
    params: ParamsOption = Path("params.yaml"),
    out: RegisteredOption = Path("metrics/register.json"),
    as_json: JsonOption = False,
) -> None:
    """Make the champion before this one the champion again.

    Refused if forget requests were carried out since that the earlier adapter does not cover: their people, who are
    named, would be known again. *previous* is then the version before that one.
    """
    override = reason_given(force, reason)
    settings = load_params(params)
    from viker.registry import promotion

    requests = read_requests(requests_folder(settings.prepare.requests)).values()
    carried_out = {request.id: request.identities for request in requests if request.carried_out}
    registry = open_registry(settings)
    with _naming_people(settings):
        result = promotion.rollback(registry, carried_out, override)
    _note("rollback", registry, result)
    said = [f"{registry.name} version {result.version} is the champion again, replacing version {result.replaced}."]
    said += _forced(result, override)
    if result.overrode:
        said.append("Take 'carried_out' out of the requests that are named: they are to be carried out again.")
    record(registry, out)
    show(_as_json(registry, result, override), said, as_json)


def _forced(result: Moved, reason: str | None) -> list[str]:
    return [f"Forced, against: {'; '.join(result.overrode)}. Recorded reason: {reason}"] if result.overrode else []


def _as_json(registry: Registry, result: Moved, reason: str | None) -> dict[str, Any]:
    forced = {"overrode": list(result.overrode), "reason": reason if result.overrode else None}
    return {
        "model": registry.name,
        "champion": result.version,
        "replaces": result.replaced,
        "moved": result.moved,
    } | forced


@contextmanager
def _naming_people(settings: Params) -> Iterator[None]:
    """Add to a refusal in the block, which names people as the registry does, who they are by the requests here."""
    try:
        yield
    except Refused as refused:
        text, requests = str(refused), read_requests(requests_folder(settings.prepare.requests)).values()
        hidden = set(re.findall(r"\bP-[a-z2-7]{16}\b", text))
        people = {pseudonym(one): one for request in requests for one in request.identities if hidden}
        named = [f"{name} is {people[name]}" for name in sorted(hidden) if people.get(name, name) != name]
        raise Refused(refused.reasons, f"{text} {', '.join(named)}." if named else text) from None


def _note(event: str, registry: Registry, result: Moved) -> None:
    """Note in the audit log that the champion moved, and how many objections a force overrode."""
    if result.moved:
        about = {"model": registry.name, "version": result.version, "replaces": result.replaced}
        audit.append(event, about | ({"forced_against": len(result.overrode)} if result.overrode else {}))


def reason_given(force: bool, reason: str | None) -> str | None:
    """Return the reason to override the rules; None if they count.

    Raises:
        typer.BadParameter: one of --force and --reason comes without the other.
    """
    text = (reason or "").strip()
    if force != bool(text):
        raise typer.BadParameter("--force and --reason '…' go together: what is forced needs a reason, for the record.")
    return text or None


def record(registry: Registry, out: Path) -> None:
    """Bring metrics/register.json up to date if it is about this registry."""
    with registry.explained("the champion has changed, but the record of it was not written"):
        update_registration(registry, out)


def _mark_done(settings: Params, version: int, coverage: Coverage) -> list[tuple[str, list[str]]]:
    """Note the version in the pending requests of which it forgets every person.

    Returns the requests by ID, those that were marked first, each with the people whom the version doesn't forget.
    """
    from components.register.close import close

    where = settings.prepare.requests
    try:
        requests = read_requests(requests_folder(where)) if coverage.requests else {}
    except UserError as error:
        raise UserError(f"version {version} is the champion, but its requests were not marked: {error}") from None
    pending = [r for r in requests.values() if r.carried_out is None and r.id in coverage.requests]
    complete = [request.id for request in pending if not People(request.identities).without(coverage.people)]
    marked: list[tuple[str, list[str]]] = []
    for name in close(where, complete, version, CACHE) if complete else ():
        audit.append("carried out", {"id": name, "version": version})
        marked.append((name, []))
    others = [request for request in pending if request.id not in complete]
    return marked + [(one.id, People(one.identities).without(coverage.people)) for one in others]
