"""``viker rollback``: bring the previous champion back, if nobody is known again by that."""

from pathlib import Path

import typer

from components.params import load_params
from pipelines.cli.registry import ForceOption, OutcomeOption, ReasonOption, open_registry, reason_given, record
from viker.core.console import ParamsOption
from viker.data.requests import read_requests
from viker.storage import fetch, is_remote


def rollback(
    force: ForceOption = False,
    reason: ReasonOption = None,
    params: ParamsOption = Path("params.yaml"),
    out: OutcomeOption = Path("metrics/register.json"),
) -> None:
    """Make the champion before this one the champion again.

    Refused if forget requests were carried out since that the earlier adapter does not cover: their people would be
    known again. They are named. *previous* is then the version before that one.
    """
    override = reason_given(force, reason)
    settings = load_params(params)
    from viker.registry import promotion

    where = settings.prepare.requests
    folder = fetch(where, None, Path("data/sources")) if is_remote(where) else Path(where)
    carried = {one.id: one.people for one in read_requests(folder).values() if one.carried_out}
    registry = open_registry(settings)
    moved = promotion.rollback(registry, carried, override)
    typer.echo(f"{registry.name} version {moved.version} is the champion again, in place of version {moved.replaced}.")
    if moved.overrode:
        typer.echo(f"Forced, against: {'; '.join(moved.overrode)}. Reason, as it is recorded: {override}")
        typer.echo("Take 'carried_out' out of the requests that are named: they are to be carried out again.")
    record(registry, out)
