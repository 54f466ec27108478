"""``python -m components.prepare.resolve``: before a run in Kubeflow, fix what may differ from the run before.

The requests are read, the revision of the data is turned into a commit, what lies in S3 is put down by its ETags, the
champion is looked up, and all parameters are checked, before any node with a GPU is asked for: so is what could not be
promoted. What comes out has only values that stay the same, so Kubeflow's cache can tell whether a stage has been run
with them already.
"""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from components.contract.ended import refusals
from components.contract.params import Params, params_model
from components.contract.stages import stages
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.errors import UserError
from viker.core.files import sha256_bytes, sha256_json, write_json
from viker.core.mlflow_store import connect, tracking_uri
from viker.core.pseudonyms import People
from viker.core.settings import read_yaml, validated
from viker.data.requests import people_of, read_requests
from viker.registry.start import champion_start, check_promotable
from viker.registry.versions import Registry
from viker.storage import fetch, is_remote, pin, state


def command(
    out: Annotated[Path, typer.Option(help="Where the values go, JSON.")],
    params: ParamsOption = Path("params.yaml"),
    source: Annotated[str, typer.Option(help="In place of prepare.source.")] = "",
    revision: Annotated[str, typer.Option(help="In place of prepare.revision.")] = "",
    requests: Annotated[str, typer.Option(help="In place of prepare.requests; a folder or s3://….")] = "",
    model: Annotated[str, typer.Option(help="In place of finetune.deployed_model.")] = "",
    policy: Annotated[str, typer.Option(help="In place of gate.policy.")] = "",
    only_requests: Annotated[str, typer.Option(help="true: without a pending request there is no work.")] = "false",
) -> None:
    """Decide whether there is work, and with which parameters; exits with 0 either way."""
    changes = {
        "prepare": {"source": source, "revision": revision, "requests": requests},
        "finetune": {"deployed_model": model},
        "gate": {"policy": policy},
    }
    values = read_yaml(params, "Name the file with --params.")
    for section, change in changes.items():
        values[section] |= {key: value for key, value in change.items() if value}
    settings = validated(params_model(), values, params)
    registry = None
    if os.environ.get("MLFLOW_TRACKING_URI"):
        registry = Registry(None, tracking_uri(), settings.section("register").model_name)
    resolved = resolve(settings, only_requests.lower() == "true", registry)
    write_json(out, resolved)
    pending = ", ".join(resolved["requests"]) or "none"
    if resolved["champion"]:
        typer.echo(f"it goes on from version {resolved['champion']}, the champion")
    typer.echo(f"pending requests: {pending}; {'there is work' if resolved['work'] == 'yes' else 'nothing to do'}")


def resolve(params: Params, only_requests: bool, registry: Registry | None = None) -> dict[str, Any]:
    """Return what the tasks of a run are given.

    ``work``: yes or no. ``folder`` of the requests, ``requests`` (the IDs of those pending) and ``requests_sha256`` of
    their files. ``champion``: the version whose adapter unlearn goes on from, empty where there is none. ``model_name``
    of the registered model. ``refusals``: of earlier runs, see ``components.contract.ended``. ``state`` of what lies
    outside; and the parameters by stage.

    Args:
        params: all parameters.
        only_requests: whether there is no work without a pending request.
        registry: where the champion is looked up, connected only where there is work; None: nowhere.

    Raises UserError: a request is none, the source or its revision isn't there, there is no connection to it, or what
        the run makes could not be promoted.
    """
    section = params.prepare
    with tempfile.TemporaryDirectory() as cache:
        folder = Path(section.requests)
        try:
            if is_remote(section.requests):
                folder = fetch(section.requests, None, Path(cache))
        except UserError as error:
            raise UserError(f"prepare.requests: {error}") from None
        requests = read_requests(folder)
        files = {path.name: path.read_text(encoding="utf-8") for path in requests}
    pending = [request for request in requests.values() if request.carried_out is None]
    gone = People(people_of(request for request in requests.values() if request.carried_out))
    work = not only_requests or any(person not in gone for person in people_of(pending)) or bool(section.forget_ids)

    values = params.model_dump(mode="json", by_alias=True)
    values.pop("deploy", None)
    states = []
    start = None
    if work and registry is not None:
        registry.client = registry.client or connect(registry.uri)
        start = champion_start(registry)
        model, names = params.finetune.deployed_model, [request.id for request in pending]
        if start and not check_promotable(registry, start, params.unlearn, model, names, set(people_of(pending))):
            start = None
    if work:
        for name, key in (("prepare", "source"), ("sample", "folder")):
            place = values[name][key]
            if place:
                values[name]["revision"] = pin(place, values[name]["revision"])
                states.append(state(place))
    by_stage = {
        stage.name: values if stage.sections is None else {key: values[key] for key in stage.sections}
        for stage in stages().values()
    }
    return {
        "work": "yes" if work else "no",
        "requests": sorted(request.id for request in pending),
        "folder": section.requests,
        "requests_sha256": sha256_json(files),
        "champion": str(start.version) if start else "",
        "refusals": refusals(),
        "model_name": params.section("register").model_name,
        "state": sha256_bytes("\n".join(states).encode()),
        **by_stage,
    }


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
