"""Identity of a run: the same work tree, parameters and data give the same run, whatever starts the stage."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import sha256_json
from viker.core.nested import flatten
from viker.core.provenance import code_changes, code_version, dvc_hashes, file_sizes, package_versions

RUN_TAG = "viker.pipeline_run"
"""The tag that names the Kubeflow run that an MLflow run belongs to."""


def lineage(stage: str, values: Mapping[str, Any], params_file: Path, sweep: str = "") -> list[dict[str, Any]]:
    """Return the runs that a stage logs to, outermost first: the sweep, if it is part of one, the pipeline, the stage.

    An engine names its run in VIKER_RUN, a sweep or a tuning its own in VIKER_SWEEP. Without VIKER_RUN the work tree's
    state is the key: commit and changes, ``values`` of params.yaml, and what the source is. With ``sweep``, the key of
    the sweep or tuning itself, it is that run alone.
    """
    runs: list[dict[str, Any]] = []
    if key := sweep or os.environ.get("VIKER_SWEEP"):
        engine = stage if sweep else os.environ.get("VIKER_ENGINE") or "sweep"
        tags = {"mlflow.source.name": f"viker {engine}"}
        runs.append({"name": f"{engine}-{key[:8]}", "key": key, "tags": tags, "params": {}})
    if sweep:
        return runs
    folder, params = params_file.resolve().parent, settings(values)
    version, run = code_version(folder), os.environ.get("VIKER_RUN")
    source = folder / values["prepare"]["source"]
    key = sha256_json(run or [version.get("git_commit", ""), code_changes(folder), params, file_sizes(source)])
    default = "kubeflow" if run else "dvc" if os.environ.get("DVC_STAGE") else "hand"
    tags = {"engine": os.environ.get("VIKER_ENGINE") or default}
    name = f"{values['unlearn']['method']['name']}-{key[:8]}"
    if tags["engine"] == "kubeflow":
        name = f"kubeflow-{key[:8]}"
        tags[RUN_TAG] = str(run)  # by which what the run left open is found and ended
        if stage not in ("register", "report"):  # these get all parameters, a task before them only its own sections
            params = {section: params[section] for section in ("seed", stage) if section in params}
    name = os.environ.get("VIKER_RUN_NAME", name)
    whole = version | dvc_hashes(folder) | tags | {"seed": str(values["seed"]), "mlflow.source.name": "viker"}
    part = tags | {"stage": stage} | package_versions()
    runs.append({"name": name, "key": key, "tags": whole, "params": flatten(params)})
    runs.append({"name": stage, "key": sha256_json(f"{key} {stage}"), "tags": part, "params": {}})
    return runs


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of params.yaml that decide a run."""
    return {name: value for name, value in values.items() if name not in ("sweep", "tune", "deploy", "tracking")}
