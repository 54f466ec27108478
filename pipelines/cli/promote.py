"""``viker promote``: make a version the champion, if nothing speaks against it."""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import Params, load_params
from pipelines.cli.registry import (
    CACHE,
    ForceOption,
    ReasonOption,
    RegisteredOption,
    open_registry,
    reason_given,
    record,
    requests_folder,
)
from viker.core.console import ParamsOption
from viker.core.errors import UserError
from viker.data.requests import read_requests
from viker.registry.stored import Coverage


def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A number, or an alias such as candidate.")],
    force: ForceOption = False,
    reason: ReasonOption = None,
    done: Annotated[
        bool, typer.Option(help="Mark the forget requests that the version carries out as done, in prepare.requests.")
    ] = True,
    params: ParamsOption = Path("params.yaml"),
    out: RegisteredOption = Path("metrics/register.json"),
) -> None:
    """Make a version the champion, the one in use from now on.

    Refused unless the gate passed on exactly this adapter and its data, by the policy that *params.yaml* names, and
    unless it forgets everybody whom the champion has forgotten on request. The old champion becomes *previous*.
    Promoting the champion again changes nothing. The stage *register* promotes by the same rules.
    """
    override = reason_given(force, reason)
    settings = load_params(params)
    from viker.gate.policies import load_policy
    from viker.registry import promotion
    from viker.registry.verdict import Policy

    registry = open_registry(settings)
    number = registry.number(version)
    policy = Policy(settings.gate, load_policy(settings.gate)[1])
    result = promotion.promote(registry, number, policy, override)
    before = f"; before it: version {result.replaced}" if result.replaced is not None else ""
    typer.echo(f"{registry.name} version {number} is the champion{before if result.moved else ' already'}.")
    if result.overrode:
        typer.echo(f"Forced, against: {'; '.join(result.overrode)}. Recorded reason: {override}")
    record(registry, out)
    if done:
        _mark_done(settings, number, registry.coverage(number))


def _mark_done(settings: Params, version: int, coverage: Coverage) -> None:
    """Note the version in the pending requests of which it forgets every person."""
    from components.register.close import close

    where = settings.prepare.requests
    try:
        requests = read_requests(requests_folder(where)) if coverage.requests else {}
    except UserError as error:
        raise UserError(f"version {version} is the champion, but its requests were not marked: {error}") from None
    pending = [r for r in requests.values() if r.carried_out is None and r.id in coverage.requests]
    complete = [request.id for request in pending if coverage.people.issuperset(request.people)]
    for name in close(where, complete, version, CACHE) if complete else ():
        typer.echo(f"request {name}: carried out by version {version}.")
    for request in pending:
        if request.id not in complete:
            missing = ", ".join(sorted(set(request.people) - coverage.people))
            typer.echo(
                f"request {request.id}: not marked as done: it names {missing}, not forgotten by version {version}."
            )
