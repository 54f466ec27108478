"""``viker promote``: make a version the champion, if it may be."""

from pathlib import Path
from typing import Annotated

import typer

from components.params import Params, load_params
from pipelines.cli.registry import ForceOption, OutcomeOption, ReasonOption, open_registry, reason_given, record
from viker.core.console import ParamsOption
from viker.core.errors import UserError
from viker.data.requests import read_requests
from viker.storage import fetch, is_remote

CACHE = Path("data/sources")


def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A number, or an alias such as candidate.")],
    force: ForceOption = False,
    reason: ReasonOption = None,
    done: Annotated[
        bool, typer.Option(help="Mark the forget requests that the version carries out as done, in prepare.requests.")
    ] = True,
    params: ParamsOption = Path("params.yaml"),
    out: OutcomeOption = Path("metrics/register.json"),
) -> None:
    """Make a version the champion: what is used from now on.

    Refused unless the gate passed on exactly this adapter and its data, by the policy that *params.yaml* names, and
    unless it forgets everybody whom the champion has forgotten on request. The champion becomes *previous*. Again for
    the same version, it changes nothing. The stage *register* promotes by the same rules.
    """
    override = reason_given(force, reason)
    settings = load_params(params)
    from viker.gate.policies import load_policy
    from viker.registry import promotion
    from viker.registry.verdict_check import Policy

    registry = open_registry(settings)
    number = registry.number(version)
    policy = Policy(settings.gate, load_policy(settings.gate)[1])
    moved = promotion.promote(registry, number, policy, override)
    if moved.moved:
        before = f"; before it: version {moved.replaced}" if moved.replaced is not None else ""
        typer.echo(f"{registry.name} version {number} is the champion{before}.")
    else:
        typer.echo(f"{registry.name} version {number} is the champion already.")
    if moved.overrode:
        typer.echo(f"Forced, against: {'; '.join(moved.overrode)}. Reason, as it is recorded: {override}")
    record(registry, out)
    if done:
        _mark_done(settings, number, registry.coverage(number).requests, registry.coverage(number).people)


def _mark_done(settings: Params, version: int, requests: frozenset[str], people: frozenset[str]) -> None:
    """Note the version in the pending requests that it carries out whole."""
    from components.register.close import close

    where = settings.prepare.requests
    try:
        found = read_requests(fetch(where, None, CACHE) if is_remote(where) and requests else Path(where))
    except UserError as error:
        raise UserError(f"version {version} is the champion, but its requests were not marked: {error}") from None
    pending = [one for one in found.values() if one.carried_out is None and one.id in requests]
    whole = [one.id for one in pending if people.issuperset(one.people)]
    for name in close(where, whole, version, CACHE) if whole else ():
        typer.echo(f"request {name}: carried out by version {version}.")
    for one in pending:
        if one.id not in whole:
            missing = ", ".join(sorted(set(one.people) - people))
            typer.echo(f"request {one.id}: not marked as done: it names {missing}, not forgotten by version {version}.")
