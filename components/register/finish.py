"""``python -m components.register.finish``: record how a run in an engine ended, and end its runs in MLflow."""

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from components.contract.ended import CANCELLED, FAILED, outcome, remove_old
from components.register.notify import tell
from viker.core import console
from viker.core.console import stage_app
from viker.core.errors import UserError
from viker.core.files import new_file, write_json
from viker.core.mlflow_store import connect, explained, tracking_uri
from viker.data.requests import ForgetRequest, read_requests
from viker.storage import fetch, is_remote
from viker.tracking import RUN_TAG

log = logging.getLogger(__name__)


def command(
    status: Annotated[str, typer.Option(help="The engine's final status, JSON.")],
    run: Annotated[str, typer.Option(help="The ID of the run in the engine.")],
    page: Annotated[Path, typer.Option(help="The status for people, Markdown.")],
    out: Annotated[Path, typer.Option(help="The status for programs, JSON.")],
    requests: Annotated[str, typer.Option(help="The folder of requests, for deadlines; empty: not looked at.")] = "",
) -> None:
    """Write what the run came to, and end the MLflow runs that it left open.

    That is what its tasks noted; the engine's own state says nothing of the gate, and may be RUNNING for good. It is
    written first: it is there even if MLflow doesn't answer.
    """
    final = json.loads(status)
    state = str(final.get("state", "UNKNOWN"))
    result, errors = outcome(run, state)
    said = str((final.get("error") or {}).get("message") or final.get("error_message") or "")
    error = "\n".join([*errors, *([said] if said else [])])
    write_json(out, {"outcome": result, "state": state, "run": run, "error": error})
    with new_file(page) as temporary:
        block = f"\n\n```\n{error}\n```" if error else ""
        temporary.write_text(f"# {result}\n\nRun `{run}`.{block}\n", encoding="utf-8")
    tell(run, result, errors, _requests(requests))
    if shared := os.environ.get("VIKER_TRACKING_DIR"):
        remove_old(Path(shared).parent)
    closed = close_runs(run, "KILLED" if state in CANCELLED else "FAILED" if result == FAILED else "FINISHED")
    typer.echo(f"run {run}: {result}; MLflow runs that were left open: {', '.join(closed) or 'none'}")


def _requests(where: str) -> list[ForgetRequest]:
    """Return the requests; none, with a warning, where they can't be read: what a run came to is told all the same."""
    if not where:
        return []
    try:
        with tempfile.TemporaryDirectory() as cache:
            folder = fetch(where, None, Path(cache)) if is_remote(where) else Path(where)
            return list(read_requests(folder).values())
    except UserError as error:
        log.warning("deadlines are not known: %s", error)
        return []


def close_runs(run: str, state: str) -> list[str]:
    """End what this Kubeflow run left open in MLflow, and return the IDs.

    The pipeline's run ends with ``state``. A stage's run that is still open belongs to a task that was killed.

    Raises UserError: MLflow doesn't answer.
    """
    uri = tracking_uri()
    client = connect(uri)
    with explained(uri, "the runs can't be ended", "Check MLFLOW_TRACKING_URI and the access to it"):
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        closed = []
        for pipeline in client.search_runs(experiments, f"tags.`{RUN_TAG}` = '{run}'"):
            running = f"tags.`mlflow.parentRunId` = '{pipeline.info.run_id}' and attributes.status = 'RUNNING'"
            for stage in client.search_runs(experiments, running):
                client.set_terminated(stage.info.run_id, "KILLED" if state == "KILLED" else "FAILED")
                closed.append(stage.info.run_id)
            if pipeline.info.status == "RUNNING":
                client.set_terminated(pipeline.info.run_id, state)
                closed.append(pipeline.info.run_id)
    return closed


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
