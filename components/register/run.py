"""One MLflow run and one version of the registered model for an evaluated adapter, and the aliases on it."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.files import read_json, sha256_path, write_json
from components.common.params import Params
from components.common.tracking import RUN_TAG, connect, experiment_id, explained, tracking_uri, without_secrets
from components.common.tracking.code import code_version, package_versions
from components.common.tracking.flatten import flatten, numbers, read_curve
from components.register.lineage import check_evaluated, check_judged, hash_inputs

BATCH = 1000
"""The most metrics that MLflow takes in one request."""
PARAMS_BATCH = 100
"""The most parameters that MLflow takes in one request."""
LONGEST_PARAM = 5000
"""The most characters of one parameter or tag; params.yaml itself is among the artifacts."""


@dataclass(frozen=True)
class Evidence:
    """What one run holds."""

    name: str
    params: dict[str, str]
    metrics: list[tuple[str, float, int]]
    tags: dict[str, str]
    artifacts: list[tuple[Path, str]]


def run(
    params: Params,
    params_file: Path,
    adapter: Path,
    model: Path,
    prepared: Path,
    unlearning: Path,
    metrics: Path,
    gate: Path,
    out: Path,
    pipeline_run: str | None = None,
) -> dict[str, Any]:
    """Register an evaluated adapter; write ``out`` (metrics/register.json) and return its content.

    The alias ``candidate`` moves to the version; ``champion`` moves only after the verdict "pass". The same inputs
    again give the same run and version.

    Raises:
        UserError: an input is missing, the metrics or the verdict belong to other files, MLflow does not answer.
            Then nothing is registered and no alias moves.
    """
    measured, judged = read_json(metrics, "evaluate"), read_json(gate, "gate")
    lineage = hash_inputs(adapter, model, prepared)
    places = {"adapter": adapter, "model": model, "data": prepared / "manifest.json"}
    check_evaluated(lineage, measured, metrics, places)
    check_judged(judged, gate, measured, params.gate)

    flat = {name: _text(value) for name, value in flatten(params.model_dump(mode="json", by_alias=True)).items()}
    key = _key(lineage.adapter, sha256_path(metrics), sha256_path(gate), flat)
    hashes = {f"{name}_sha256": getattr(lineage, name) for name in places}
    carried = read_json(places["data"], "prepare").get("requests", [])
    asked = {"requests": _text(", ".join(carried))} if carried else {}
    asked |= {RUN_TAG: pipeline_run} if pipeline_run else {}
    tags = hashes | asked | {"verdict": str(judged["verdict"])} | code_version(params_file.resolve().parent)
    values = numbers({k: v for k, v in measured.items() if k not in ("inputs", "schema")})
    values["gate.passed"] = float(judged["verdict"] == "pass")
    evidence = Evidence(
        name=f"{params.unlearn.method}-{lineage.adapter[:8]}",
        params=flat,
        metrics=[(name, value, 0) for name, value in values.items()] + read_curve(unlearning),
        tags=tags | package_versions() | {"viker.key": key},
        artifacts=[
            (adapter, "adapter"),
            (unlearning, "unlearning"),
            (metrics, "metrics"),
            (gate, "metrics"),
            (params_file, ""),
            (prepared / "manifest.json", "data"),
        ],
    )

    uri = tracking_uri()
    client = connect(uri)
    hint = "Correct what it names: register.experiment, register.model_name, or access to the artifact store"
    with explained(uri, "the run or the version was refused", hint):
        run_id = _run(client, experiment_id(client, uri, params.register_.experiment), key, evidence)
        version = _version(client, params.register_.model_name, run_id, tags)
        aliases = ("candidate", "champion") if judged["verdict"] == "pass" else ("candidate",)
        for alias in aliases:
            client.set_registered_model_alias(params.register_.model_name, alias, version)
    result = {
        "run_id": run_id,
        "model_name": params.register_.model_name,
        "version": int(version),
        "aliases": list(aliases),
        "tracking_uri": without_secrets(uri),
    }
    write_json(out, result)
    return result


def _run(client: Any, experiment: str, key: str, evidence: Evidence) -> str:
    """Return the finished run of this key; log it first where there is none."""
    query = f"tags.`viker.key` = '{key}' and attributes.status = 'FINISHED'"
    found = client.search_runs([experiment], query, max_results=1)
    if found:
        return str(found[0].info.run_id)
    run_id = str(client.create_run(experiment, tags=evidence.tags, run_name=evidence.name).info.run_id)
    status = "FAILED"
    try:
        _log(client, run_id, evidence)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return run_id


def _log(client: Any, run_id: str, evidence: Evidence) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for name, value, step in evidence.metrics]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])
    params = [Param(name, value) for name, value in evidence.params.items()]
    for start in range(0, len(params), PARAMS_BATCH):
        client.log_batch(run_id, params=params[start : start + PARAMS_BATCH])
    for path, folder in evidence.artifacts:
        log = client.log_artifacts if path.is_dir() else client.log_artifact
        log(run_id, str(path), folder or None)


def _version(client: Any, name: str, run_id: str, tags: dict[str, str]) -> str:
    """Return the version made from this run's adapter; make it, and the registered model, where there is none."""
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        client.create_registered_model(name, description="LoRA adapters that make a multimodal model forget people.")
    found = [v for v in client.search_model_versions(f"run_id = '{run_id}'") if v.name == name]
    if found:
        return str(found[0].version)
    source = f"{client.get_run(run_id).info.artifact_uri}/adapter"
    return str(client.create_model_version(name, source, run_id, tags=tags).version)


def _key(adapter: str, metrics: str, gate: str, params: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps([adapter, metrics, gate, params], sort_keys=True).encode()).hexdigest()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_PARAM else text[: LONGEST_PARAM - 1] + "…"
