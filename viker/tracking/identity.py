"""Identity of a run: the same work tree, parameters and data give the same run, whatever starts the stage."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import canonical, sha256_bytes
from viker.core.provenance import code_changes, code_version
from viker.core.settings import read_yaml
from viker.tracking.connection import RUN_TAG
from viker.tracking.flatten import flatten, text


def lineage(stage: str, values: Mapping[str, Any], params_file: Path) -> list[dict[str, Any]]:
    """Return the runs that a stage logs to, outermost first: the sweep, if it is part of one, the pipeline, the stage.

    An engine names its run in VIKER_RUN, a sweep its own in VIKER_SWEEP. Without VIKER_RUN the work tree's state is
    the key: commit and changes, parameters, and what the source is.

    Args:
        stage: the stage's name.
        values: all of params.yaml.
        params_file: where it lies, in the work tree.
    """
    folder = params_file.resolve().parent
    version = code_version(folder)
    engine_run, engine = os.environ.get("VIKER_RUN"), _engine()
    key = digest(engine_run) if engine_run else _state_key(values, folder, version.get("git_commit", ""))
    tags = version | {
        "engine": engine,
        "seed": str(values["seed"]),
        "mlflow.source.type": "PROJECT",
        "mlflow.source.name": "viker",
    }
    if version:
        tags["mlflow.source.git.commit"] = version["git_commit"]
    stage_tags = {"stage": stage, "engine": engine}
    params = settings(values)
    if engine == "kubeflow":
        if stage not in ("register", "report"):  # these get all parameters, a task before them only its own sections
            params = {section: params[section] for section in ("seed", stage) if section in params}
        stage_tags[RUN_TAG] = tags[RUN_TAG] = str(engine_run)  # by which what the run left open is found and ended
        name = f"kubeflow-{key[:8]}"
    else:
        name = f"{values['unlearn']['method']['name']}-{key[:8]}"
    flat = {path: text(value) for path, value in flatten(params).items()}
    sweep = os.environ.get("VIKER_SWEEP")
    return [
        *([sweep_run(sweep)] if sweep else []),
        {"name": os.environ.get("VIKER_RUN_NAME", name), "key": key, "tags": tags, "params": flat},
        {"name": stage, "key": digest(f"{key} {stage}"), "tags": stage_tags, "params": {}},
    ]


def sweep_run(key: str) -> dict[str, Any]:
    """Return the run of a sweep, above those of its combinations."""
    return {"name": f"sweep-{key[:8]}", "key": key, "tags": {"mlflow.source.name": "viker sweep"}, "params": {}}


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of params.yaml that decide a run."""
    return {section: value for section, value in values.items() if section not in ("sweep", "deploy")}


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's JSON."""
    return sha256_bytes(canonical(value))


def dvc_hashes(folder: Path) -> dict[str, str]:
    """Return DVC's hash of the prepared data, and of an imported source, as tags; empty where there is none."""
    tags = {}
    try:
        lock = read_yaml(folder / "dvc.lock", "")["stages"]["prepare"]
        for entries, tag in (("outs", "dvc.data"), ("deps", "dvc.source")):
            for entry in lock[entries]:
                if entry["path"].startswith("data/"):
                    tags[tag] = str(entry["md5"])
    except Exception:  # no lock, or one of another shape: that is DVC's business
        return tags
    return tags


def _state_key(values: Mapping[str, Any], folder: Path, commit: str) -> str:
    source = folder / values["prepare"]["source"]
    return digest([commit, code_changes(folder), settings(values), _outline(source)])


def _engine() -> str:
    """Return what started the stage: VIKER_ENGINE, else kubeflow where a run is named, else dvc or hand."""
    default = "kubeflow" if os.environ.get("VIKER_RUN") else "dvc" if os.environ.get("DVC_STAGE") else "hand"
    return os.environ.get("VIKER_ENGINE") or default


def _outline(source: Path) -> list[Any]:
    """Return names and sizes of the files at a path: hashing gigabytes just to identify a run would take too long."""
    if source.is_file():
        return [source.stat().st_size]
    return sorted([p.relative_to(source).as_posix(), p.stat().st_size] for p in source.rglob("*") if p.is_file())
