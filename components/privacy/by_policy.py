"""``python -m components.privacy.by_policy``: the purge by register.purge_after, for engines."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from components.privacy.choice import carried_out_before
from components.privacy.objects import pipeline_root
from components.privacy.purge import carry_out, new_purge, unfinished
from viker.core import console
from viker.core.console import ParamsOption, say, stage_app
from viker.core.files import locked, private_files, write_json
from viker.core.pseudonyms import privacy_folder
from viker.data.requests import read_requests
from viker.storage import fetch, is_remote

SHARED = ("airflow", "sources", "unlearn", "evaluate", "tracking")
"""Folders of the volume that tasks share: work trees of runs, what was downloaded, states, notes."""


def command(
    requests: Annotated[str, typer.Option(help="The folder of requests, or s3://….")],
    out: Annotated[Path, typer.Option(help="Which requests are purged, JSON.")],
    known: Annotated[
        Path | None, typer.Option(help="Data to learn from what tells of the people; it isn't searched.")
    ] = None,
    artifact: Annotated[
        str, typer.Option(help="The address of an artifact of this run of Kubeflow: all runs' are searched.")
    ] = "",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Purge requests that were carried out at least **register.purge_after** ago; nothing where that is null.

    What is searched: the current folder, the volume that the tasks share (VIKER_TRACKING_DIR is on it), MLflow. A purge
    that was killed is gone on with.
    """
    settings = load_params(params)
    settings = settings.model_copy(update={"prepare": settings.prepare.model_copy(update={"requests": requests})})
    age = settings.section("register").purge_after
    root = pipeline_root(artifact)
    elsewhere = "the pipeline's root, where Kubeflow keeps what the tasks wrote: let its objects expire"
    elsewhere = elsewhere if artifact and root is None else ""
    purged = list[str]()
    if age is not None:
        with private_files(), locked(privacy_folder()), tempfile.TemporaryDirectory() as scratch:
            for job in unfinished():
                carry_out(settings, job, None, False, say, elsewhere)
                purged += job.requests
            folder = fetch(requests, None, Path(scratch)) if is_remote(requests) else Path(requests)
            chosen = list(carried_out_before(read_requests(folder).values(), age).values())
            if chosen:
                job, gathered = new_purge(
                    settings, chosen, [*_shared(), *([root] if root else [])], [known] if known else []
                )
                carry_out(settings, job, gathered, False, say, elsewhere)
                purged += job.requests
    write_json(out, {"purged": ", ".join(sorted(purged)), "after": age})
    typer.echo(f"purged: {', '.join(sorted(purged)) or 'no request'}; register.purge_after is {age or 'null'}")


def _shared() -> list[str]:
    tracking = os.environ.get("VIKER_TRACKING_DIR")
    return [str(Path(tracking).with_name(name)) for name in SHARED] if tracking else []


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
