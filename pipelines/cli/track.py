"""``viker track``: records that have not reached MLflow yet."""

from typing import Annotated

import typer

from viker.tracking import explained, tracking_uri, without_secrets

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def track() -> None:
    """Send what the stages recorded while MLflow did not answer."""


@app.command()
def sync(
    dry: Annotated[bool, typer.Option("--dry", help="Only list what waits.")] = False,
) -> None:
    """Send the records that wait in the outbox, *work/tracking/outbox*, each once.

    Started again after it was cut off, it goes on where it stopped: no run and no point of a curve is there twice.
    The records of a stage that was killed are sent too, and its run is then marked as killed.
    """
    from viker.tracking.deliver import deliver
    from viker.tracking.journal import is_open, outbox, waiting

    folder, uri = outbox(), tracking_uri()
    found = waiting(folder)
    for journal in found:
        typer.echo(f"{journal.name}{': its stage is still running' if is_open(journal) else ''}")
    if dry or not found:
        typer.echo(f"{len(found)} waiting in {folder}")
        return
    with explained(uri, "the records were not taken", "They are kept. Run 'viker track sync' again"):
        count = deliver(uri)
    typer.echo(f"{count} records sent to {without_secrets(uri)}; {len(waiting(folder))} waiting in {folder}")
