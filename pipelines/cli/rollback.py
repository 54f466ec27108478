"""``viker rollback``: make the previous champion the champion again, if nobody becomes known again by that."""

from pathlib import Path

import typer

from components.contract.params import load_params
from pipelines.cli.registry import (
    ForceOption,
    ReasonOption,
    RegisteredOption,
    open_registry,
    reason_given,
    record,
    requests_folder,
)
from viker.core.console import ParamsOption
from viker.data.requests import read_requests


def rollback(
    force: ForceOption = False,
    reason: ReasonOption = None,
    params: ParamsOption = Path("params.yaml"),
    out: RegisteredOption = Path("metrics/register.json"),
) -> None:
    """Make the champion before this one the champion again.

    Refused if forget requests were carried out since that the earlier adapter does not cover: their people, who are
    named, would be known again. *previous* is then the version before that one.
    """
    override = reason_given(force, reason)
    settings = load_params(params)
    from viker.registry import promotion

    requests = read_requests(requests_folder(settings.prepare.requests)).values()
    carried_out = {request.id: request.people for request in requests if request.carried_out}
    registry = open_registry(settings)
    result = promotion.rollback(registry, carried_out, override)
    typer.echo(f"{registry.name} version {result.version} is the champion again, replacing version {result.replaced}.")
    if result.overrode:
        typer.echo(f"Forced, against: {'; '.join(result.overrode)}. Recorded reason: {override}")
        typer.echo("Take 'carried_out' out of the requests that are named: they are to be carried out again.")
    record(registry, out)
