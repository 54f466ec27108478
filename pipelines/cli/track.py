"""``viker track``: the records that have not reached MLflow yet."""

from typing import Annotated

import typer

from viker.core.console import command_group
from viker.core.mlflow_store import explained, tracking_uri
from viker.core.redact import without_secrets

app = command_group("Send what stages recorded while MLflow did not answer.")


@app.command()
def sync(dry: Annotated[bool, typer.Option("--dry", help="Only list what is waiting.")] = False) -> None:
    """Send the records that wait in the outbox, *work/tracking/outbox*, each exactly once.

    Interrupted and started again, it resumes: no run and no point of a curve appears twice. The records of a stage that
    was killed are sent too, and its run is marked as killed.
    """
    from viker.tracking.outbox import is_open, outbox, waiting
    from viker.tracking.publish import Publisher

    folder, uri = outbox(), tracking_uri()
    journals = waiting(folder)
    for journal in journals:
        typer.echo(f"{journal.name}{': its stage is running and publishes it' if is_open(journal) else ''}")
    if dry or not journals:
        typer.echo(f"{len(journals)} waiting in {folder}")
        return
    with explained(uri, "the records were not taken", "They are kept. Run 'viker track sync' again"):
        count = Publisher(uri).publish()
    typer.echo(f"{count} records sent to {without_secrets(uri)}; {len(waiting(folder))} waiting in {folder}")
