"""``python -m components.register.finish``: record how a Kubeflow run ended, and end its runs in MLflow."""

import json
from pathlib import Path
from typing import Annotated

import typer

from viker.core import console
from viker.core.console import stage_app
from viker.core.files import new_file, write_json
from viker.core.mlflow_store import connect, explained, tracking_uri
from viker.tracking import RUN_TAG

ENDS = {"SUCCEEDED": "FINISHED", "CANCELLED": "KILLED", "CANCELED": "KILLED"}
"""MLflow's status for each of Kubeflow's; FAILED for all others."""


def command(
    status: Annotated[str, typer.Option(help="Kubeflow's final status, JSON.")],
    run: Annotated[str, typer.Option(help="The ID of the run in Kubeflow.")],
    page: Annotated[Path, typer.Option(help="The status for people, Markdown.")],
    out: Annotated[Path, typer.Option(help="The status for programs, JSON.")],
) -> None:
    """Write the status of the run, and end the MLflow runs that it left open.

    The status is written first: it is there even if MLflow doesn't answer.
    """
    final = json.loads(status)
    state = str(final.get("state", "UNKNOWN"))
    error = str((final.get("error") or {}).get("message") or final.get("error_message") or "")
    write_json(out, {"state": state, "run": run, "error": error})
    with new_file(page) as temporary:
        block = f"\n\n```\n{error}\n```" if error else ""
        temporary.write_text(f"# {state}\n\nRun `{run}`.{block}\n", encoding="utf-8")
    closed = close_runs(run, ENDS.get(state, "FAILED"))
    typer.echo(f"run {run}: {state}; MLflow runs that were left open: {', '.join(closed) or 'none'}")


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
