"""Identity of a run: the same work tree, parameters and data give the same run, whatever starts the stage."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import canonical, sha256_bytes
from viker.core.nested import flatten
from viker.core.provenance import code_changes, code_version, dvc_hashes, package_versions
from viker.tracking.connection import RUN_TAG


def lineage(stage: str, values: Mapping[str, Any], params_file: Path) -> list[dict[str, Any]]:
    """Return the runs that a stage logs to, outermost first: the sweep, if it is part of one, the pipeline, the stage.

    An engine names its run in VIKER_RUN, a sweep its own in VIKER_SWEEP. Without VIKER_RUN the work tree's state is
    the key: commit and changes, ``values`` of params.yaml, and what the source is.
    """
    folder, params = params_file.resolve().parent, settings(values)
    version = code_version(folder)
    run, sweep = os.environ.get("VIKER_RUN"), os.environ.get("VIKER_SWEEP")
    source = folder / values["prepare"]["source"]
    key = digest(run or [version.get("git_commit", ""), code_changes(folder), params, _outline(source)])
    default = "kubeflow" if run else "dvc" if os.environ.get("DVC_STAGE") else "hand"
    tags = {"engine": os.environ.get("VIKER_ENGINE") or default}
    name = f"{values['unlearn']['method']['name']}-{key[:8]}"
    if tags["engine"] == "kubeflow":
        name = f"kubeflow-{key[:8]}"
        tags[RUN_TAG] = str(run)  # by which what the run left open is found and ended
        if stage not in ("register", "report"):  # these get all parameters, a task before them only its own sections
            params = {section: params[section] for section in ("seed", stage) if section in params}
    whole_tags = version | dvc_hashes(folder) | tags | {"seed": str(values["seed"]), "mlflow.source.name": "viker"}
    whole = {"name": os.environ.get("VIKER_RUN_NAME", name), "key": key, "tags": whole_tags, "params": flatten(params)}
    stage_tags = tags | {"stage": stage} | package_versions()
    part = {"name": stage, "key": digest(f"{key} {stage}"), "tags": stage_tags, "params": {}}
    return [sweep_run(sweep), whole, part] if sweep else [whole, part]


def sweep_run(key: str) -> dict[str, Any]:
    """Return the run of a sweep, above those of its combinations."""
    return {"name": f"sweep-{key[:8]}", "key": key, "tags": {"mlflow.source.name": "viker sweep"}, "params": {}}


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of params.yaml that decide a run."""
    return {section: value for section, value in values.items() if section not in ("sweep", "deploy")}


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's JSON."""
    return sha256_bytes(canonical(value))


def _outline(source: Path) -> list[Any]:
    """Return names and sizes of the files at a path: hashing gigabytes just to identify a run would take too long."""
    if source.is_file():
        return [source.stat().st_size]
    return sorted([p.relative_to(source).as_posix(), p.stat().st_size] for p in source.rglob("*") if p.is_file())
