"""Which run a stage belongs to: the same work tree, parameters and data give the same one, whoever starts the stage."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from components.params import Params
from viker.core.settings import read_yaml
from viker.tracking.code import code_changes, code_version
from viker.tracking.connection import RUN_TAG
from viker.tracking.flatten import flatten, text

KEY_TAG = "viker.key"
"""The tag by which a run is found again; no two runs have the same."""


def lineage(stage: str, params: Params, params_file: Path) -> list[dict[str, Any]]:
    """Return the runs that a stage logs to, outermost first: of a sweep, where there is one, the pipeline, the stage.

    The engine names its run in VIKER_RUN, and a sweep itself in VIKER_SWEEP. Without VIKER_RUN, the run is that of the
    work tree's state: commit and changes, parameters, and what the source is.
    """
    folder = params_file.resolve().parent
    version = code_version(folder)
    named, started_by = os.environ.get("VIKER_RUN"), engine()
    key = digest(named) if named else state_key(params, folder, version.get("git_commit", ""))
    tags = version | {
        KEY_TAG: key,
        "engine": started_by,
        "seed": str(params.seed),
        "mlflow.source.type": "PROJECT",
        "mlflow.source.name": "viker",
    }
    if version:
        tags["mlflow.source.git.commit"] = version["git_commit"]
    own = {"stage": stage, "engine": started_by}
    values = settings(params)
    name = f"{params.unlearn.method.name}-{key[:8]}"
    if started_by == "kubeflow":
        if stage not in ("register", "report"):  # these are given all, a task before them the sections that it reads
            values = {section: values[section] for section in ("seed", stage) if section in values}
        name = f"kubeflow-{key[:8]}"
        own[RUN_TAG] = tags[RUN_TAG] = str(named)  # by which what a run of Kubeflow left open is found and ended
    name = os.environ.get("VIKER_RUN_NAME", name)
    logged = {path: text(value) for path, value in flatten(values).items()}
    runs = [
        {"name": name, "key": key, "tags": tags, "params": logged},
        {"name": stage, "key": digest(f"{key} {stage}"), "tags": own, "params": {}},
    ]
    sweep = os.environ.get("VIKER_SWEEP")
    return [*([sweep_run(sweep)] if sweep else []), *runs]


def sweep_run(key: str) -> dict[str, Any]:
    """Return the run of a sweep, under which those of its combinations lie."""
    return {"name": f"sweep-{key[:8]}", "key": key, "tags": {"mlflow.source.name": "viker sweep"}, "params": {}}


def settings(params: Params) -> dict[str, Any]:
    """Return the values of params.yaml that decide a run."""
    return params.model_dump(mode="json", by_alias=True, exclude={"sweep", "deploy"})


def state_key(params: Params, folder: Path, commit: str) -> str:
    """Return the key of a work tree's state."""
    return digest([commit, code_changes(folder), settings(params), _outline(folder / params.prepare.source)])


def engine() -> str:
    """Return what started the stage: VIKER_ENGINE, else kubeflow where a run is named, else dvc or hand."""
    named = "kubeflow" if os.environ.get("VIKER_RUN") else "dvc" if os.environ.get("DVC_STAGE") else "hand"
    return os.environ.get("VIKER_ENGINE") or named


def dvc_hashes(folder: Path) -> dict[str, str]:
    """Return DVC's hash of the prepared data, and of an imported source, as tags; empty where there is none."""
    found = {}
    try:
        lock = read_yaml(folder / "dvc.lock", "")["stages"]["prepare"]
        for kind, place in (("outs", "dvc.data"), ("deps", "dvc.source")):
            for entry in lock[kind]:
                if entry["path"].startswith("data/"):
                    found[place] = str(entry["md5"])
    except Exception:  # no lock, or not of this shape: DVC's own matter
        return found
    return found


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def stamp(stage: str) -> str:
    """Return a name for a journal: they sort by time, and no two are the same."""
    return f"{time.time_ns() // 1000}-{os.getpid()}-{stage}"


def _outline(source: Path) -> list[Any]:
    """Return names and sizes of what lies at a path: reading gigabytes only to find a run would take too long."""
    if source.is_file():
        return [source.stat().st_size]
    return sorted([p.relative_to(source).as_posix(), p.stat().st_size] for p in source.rglob("*") if p.is_file())
