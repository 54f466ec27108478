"""``viker track``: the records that have not reached MLflow yet, and the views of those that have."""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from viker.core.console import JsonOption, ParamsOption, command_group, say, show
from viker.core.mlflow_store import explained, tracking_uri
from viker.core.redact import without_secrets

app = command_group("Send what stages recorded while MLflow did not answer; save views of the runs.")


@app.command()
def views(
    url: Annotated[str, typer.Option(help="Where MLflow's pages are, such as http://127.0.0.1:5000.")] = "",
    params: ParamsOption = Path("params.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Save views of the runs in MLflow, and print a link to each: verdict, leakage, what is kept, attacks as columns.

    Without `--url`, the links lead to *MLFLOW_TRACKING_URI*, or, if that is no server, to where `make ui` shows pages.
    """
    from viker.core.mlflow_store import connect, experiment_id
    from viker.tracking.views import MEANING, VIEWS, link, save_views

    name, uri = load_params(params).section("register").experiment, tracking_uri()
    client = connect(uri)
    with explained(uri, "the views were not saved", "Check MLFLOW_TRACKING_URI and the access to it"):
        experiment = experiment_id(client, uri, name)
        save_views(client, experiment)
    pages = url or (uri if uri.startswith("http") else "http://127.0.0.1:5000")
    links = {key: link(without_secrets(pages), experiment, key) for key in VIEWS}
    rows = [{"view": key, "name": MEANING[key], "link": address} for key, address in links.items()]
    show(rows, (f"{MEANING[key]}: {address}" for key, address in links.items()), as_json)


@app.command()
def sync(
    dry: Annotated[bool, typer.Option("--dry", help="Only list what is waiting.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send the records that wait in the outbox, *work/tracking/outbox*, each exactly once.

    Interrupted and started again, it resumes: no run and no point of a curve appears twice. The records of a stage that
    was killed are sent too, and its run is marked as killed.
    """
    from viker.tracking.outbox import is_open, outbox, waiting
    from viker.tracking.publish import Publisher

    folder, uri = outbox(), tracking_uri()
    journals = waiting(folder)
    found = [{"journal": journal.name, "running": is_open(journal)} for journal in journals]
    for one in found if not as_json else ():
        say(f"{one['journal']}{': its stage is running and publishes it' if one['running'] else ''}")
    if dry or not journals:
        show({"found": found, "sent": 0, "waiting": len(journals)}, [f"{len(journals)} waiting in {folder}"], as_json)
        return
    with explained(uri, "the records were not taken", "They are kept. Run 'viker track sync' again"):
        count = Publisher(uri).publish()
    left = len(waiting(folder))
    said = f"{count} records sent to {without_secrets(uri)}; {left} waiting in {folder}"
    show({"found": found, "sent": count, "waiting": left}, [said], as_json)
