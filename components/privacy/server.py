"""An MLflow server: what its runs, versions and artifacts say of people, found and taken out by its own interface."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from components.privacy.removal import REMOVED, treat
from components.privacy.search import Finder
from viker.core.errors import UserError
from viker.core.mlflow_client import patiently
from viker.core.mlflow_store import connect, database, explained, tracking_uri
from viker.core.redact import without_secrets

WEIGHTS = ".safetensors"
"""Models and adapters are not searched, here as in the work tree."""
PAGE = 1000
HINT = "Check MLFLOW_TRACKING_URI, the access to it and to its artifacts"
Found = tuple[str, Callable[[], str]]
"""Where a trace is, and what takes it out and returns "removed" or "rewritten"."""


def on_server(finder: Finder) -> Iterator[Found]:
    """Yield the traces on the MLflow server that the work tree uses; none where it uses a database of its own.

    Looked at are all experiments, runs and registered models, deleted ones that the server still has too: names,
    descriptions, tags, parameters, datasets, and each artifact but weights, decoded as in the work tree.

    Raises UserError: the server doesn't answer, or, when a trace is to be taken out, doesn't let go of it.
    """
    uri = tracking_uri()
    if database(uri) is not None:
        return
    client = connect(uri)
    with explained(uri, "the search for people was cut off", HINT):
        yield from _in_runs(client, uri, finder)
        yield from _in_models(client, uri, finder)


def _in_runs(client: Any, uri: str, finder: Finder) -> Iterator[Found]:
    from mlflow.entities import ViewType

    for experiment in client.search_experiments(view_type=ViewType.ALL):
        for key, value in experiment.tags.items():
            if _tells(finder, key, value):
                set_tag = partial(client.set_experiment_tag, experiment.experiment_id, key, REMOVED)
                yield f"experiment {experiment.experiment_id}, tag {key}", partial(_rewritten, set_tag)
        token = None
        while token != "":
            page = client.search_runs([experiment.experiment_id], "", ViewType.ALL, PAGE, page_token=token)
            token = page.token or ""
            for run in page:
                yield from _in_run(client, uri, finder, run)


def _in_run(client: Any, uri: str, finder: Finder, run: Any) -> Iterator[Found]:
    place = f"run {run.info.run_id}"
    for key, value in run.data.tags.items():
        if _tells(finder, key, value):
            yield f"{place}, tag {key}", partial(_rewritten, partial(client.set_tag, run.info.run_id, key, REMOVED))
    fixed = [(f"parameter {key}", f"{key}: {value}") for key, value in run.data.params.items()]
    fixed += [("dataset", str(one.dataset.to_dictionary())) for one in run.inputs.dataset_inputs]
    for what, text in fixed:
        if finder.in_value(text):
            yield f"{place}, {what}", partial(_fixed, f"{place}, {what}", run.info.run_id)
    yield from _in_artifacts(f"{place}/", run.info.artifact_uri, uri, finder)


def _in_models(client: Any, uri: str, finder: Finder) -> Iterator[Found]:
    for model in client.search_registered_models(max_results=PAGE):
        if finder.in_value(model.description or ""):
            update = partial(client.update_registered_model, model.name, REMOVED)
            yield f"model {model.name}, description", partial(_rewritten, update)
        for version in client.search_model_versions(f"name = '{model.name}'"):
            place, which = f"version {version.version} of {model.name}", (model.name, version.version)
            if finder.in_value(version.description or ""):
                update = partial(client.update_model_version, *which, REMOVED)
                yield f"{place}, description", partial(_rewritten, update)
            for key, value in version.tags.items():
                if _tells(finder, key, value):
                    set_tag = partial(client.set_model_version_tag, *which, key, REMOVED)
                    yield f"{place}, tag {key}", partial(_rewritten, set_tag)
            yield from _in_artifacts(f"{place}/", client.get_model_version_download_uri(*which), uri, finder)


def _in_artifacts(place: str, address: str, uri: str, finder: Finder) -> Iterator[Found]:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(address, tracking_uri=uri)
    folders: list[str | None] = [None]
    while folders:
        for item in patiently(partial(repository.list_artifacts, folders.pop())):
            if item.is_dir:
                folders.append(item.path)
            elif not item.path.endswith(WEIGHTS):
                with tempfile.TemporaryDirectory() as scratch:
                    file = Path(patiently(partial(repository.download_artifacts, item.path, scratch)))
                    found = finder.in_file(file)
                if found or finder.in_value(item.path):
                    yield f"{place}{item.path}", partial(_treat_artifact, repository, item.path, finder)


def _treat_artifact(repository: Any, path: str, finder: Finder) -> str:
    """Put a file without the trace in its place; remove it where it can't be done without."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(patiently(partial(repository.download_artifacts, path, scratch)))
        how = "removed" if finder.in_value(path) else treat(file, finder, whole=False)
        if how == "rewritten":
            repository.log_artifact(str(file), path.rpartition("/")[0] or None)
        else:
            repository.delete_artifacts(path)
    return how


def _tells(finder: Finder, key: str, value: str) -> bool:
    return finder.in_value(value) or finder.in_value(f"{key}: {value}")


def _rewritten(change: Callable[[], Any]) -> str:
    change()
    return "rewritten"


def _fixed(place: str, run: str) -> str:
    raise UserError(
        f"MLflow at {without_secrets(tracking_uri())}: {place}: MLflow changes no parameters and no datasets. Delete "
        f"the run there for good, 'mlflow runs delete --run-id {run}' and on the server 'mlflow gc --run-ids {run}', "
        "and run 'viker purge' again."
    )
