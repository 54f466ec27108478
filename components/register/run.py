"""The version of the registered model for an evaluated adapter, its evidence in MLflow, and the aliases on it."""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.params import Params
from viker.core.files import read_json, sha256_bytes, sha256_path, write_json
from viker.evidence.seal import canonical
from viker.gate.rules import look_up
from viker.models.base_model import base_digest, resolve_model
from viker.registry.lineage import check_evaluated, check_judged, hash_inputs
from viker.registry.model_card import card
from viker.registry.model_package import EVIDENCE, pack
from viker.registry.outcome import write_outcome
from viker.registry.promotion import Refused, promote
from viker.registry.verdict_check import Policy
from viker.registry.versions import CANDIDATE, Coverage, Registry
from viker.tracking import PIPELINE, main_metrics, stage, tracking_uri, without_secrets
from viker.tracking.code import code_version

KEY = "viker.version_key"
"""The tag by which a version is found again: the same adapter, metrics, verdict and parameters make no second one."""
LONGEST = 5000
"""The most characters of a tag."""

log = logging.getLogger(__name__)


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
    promotes: bool = True,
) -> dict[str, Any]:
    """Register an evaluated adapter; write ``out`` (metrics/register.json) and return its content.

    The alias ``candidate`` moves to the version; ``champion`` moves only where it may be promoted, see
    ``promotion``, and ``promotes`` is set.
    The same inputs again give the same version.

    Raises:
        UserError: an input is missing, the metrics or the verdict belong to other files, MLflow does not answer.
            Then nothing is registered and no alias moves.
    """
    measured, judged = read_json(metrics, "evaluate"), read_json(gate, "gate")
    lineage = hash_inputs(adapter, model, prepared)
    places = {"adapter": adapter, "model": model, "data": prepared / "manifest.json"}
    check_evaluated(lineage, measured, metrics, places)
    check_judged(judged, gate, measured, params.gate)
    manifest = read_json(places["data"], "prepare")
    name = resolve_model(model)
    base = str(Path(name).expanduser().resolve()) if Path(name).expanduser().is_dir() else name
    settings = params.model_dump(mode="json", by_alias=True)
    key = sha256_bytes(canonical([lineage.adapter, measured["digest"], judged["digest"], settings]))
    tags = {f"{name}_sha256": getattr(lineage, name) for name in places} | {
        "base_model": base,
        "base_model_digest": base_digest(base, "finetune.deployed_model"),
        "verdict": str(judged["verdict"]),
        "policy": str(judged.get("policy") or "own rules"),
        "leakage": _number(measured, "unlearned.forget.leakage_rate"),
        "retain": _number(measured, "unlearned.retain.rouge_l"),
    }
    tags |= code_version(params_file.resolve().parent)

    uri = tracking_uri()
    with stage("register", params, params_file, required=True) as recorded, tempfile.TemporaryDirectory() as scratch:
        recorded.metrics(main_metrics(measured), run=PIPELINE)
        recorded.tags(tags, run=PIPELINE)
        client, _ = recorded.deliver()
        registry = Registry(client, uri, params.register_.model_name)
        with registry.explained("the version was refused"):
            registry.create()
            version = registry.with_tag(KEY, key)
            if version is None:
                coverage = _coverage(registry, params, manifest, unlearning)
                packed = Path(scratch) / "model"
                pack(packed, adapter, base, tags["base_model_digest"], params.evaluate.max_new_tokens)
                files = {"evaluate": metrics, "gate": gate, "manifest": places["data"]}
                _add_evidence(packed, coverage, files, params_file)
                recorded.artifact(packed, f"model-{key[:12]}", run=PIPELINE)
                run_id = recorded.deliver()[1]
                tags |= {KEY: key, "requests": _text(", ".join(sorted(coverage.requests))), "run": run_id}
                people, requests = len(manifest.get("forget_ids", ())), len(coverage.requests)
                text = card(registry.name, params.unlearn.method.name, tags, measured, people, requests)
                tags = {name: value for name, value in tags.items() if value}
                version = registry.add(f"model-{key[:12]}", run_id, tags, text, KEY)
            with registry.lock():
                client.set_registered_model_alias(registry.name, CANDIDATE, str(version))
            refused = _try_to_promote(registry, version, params) if promotes else []
            return write_outcome(registry, version, out, refused, without_secrets(uri))


def _try_to_promote(registry: Registry, version: int, params: Params) -> list[str]:
    """Promote a version that was not champion before; return what spoke against it."""
    how = registry.promotion(version)
    if how is not None and how["done"]:
        return []  # it was champion once: that it is no longer was decided by a person, or by a later version
    try:
        promote(registry, version, Policy(params.gate))
    except Refused as refused:
        return refused.reasons
    return []


def _coverage(registry: Registry, params: Params, manifest: Mapping[str, Any], unlearning: Path) -> Coverage:
    """Return what the adapter has forgotten on request: now, and through the adapter that it started from."""
    requests = frozenset(manifest.get("requests", ()))
    people = frozenset(manifest.get("forget_ids", ()) if requests else ())
    start = params.unlearn.start_from
    if start is None:
        return Coverage(requests, people)
    digest = read_json(unlearning / "summary.json", "unlearn").get("start_from")
    if digest is None and Path(start).is_dir():
        digest = sha256_path(Path(start))
    earlier = registry.with_tag("adapter_sha256", str(digest))
    if earlier is None:
        log.warning(
            "unlearn.start_from is '%s', which is no version of %s: what it has forgotten is not known here, so it "
            "does not count when the version is promoted",
            start,
            registry.name,
        )
        return Coverage(requests, people)
    before = registry.coverage(earlier)
    return Coverage(requests | before.requests, people | before.people)


def _add_evidence(packed: Path, coverage: Coverage, files: Mapping[str, Path], params_file: Path) -> None:
    """Put what proves the verdict into the model's folder: a version is judged by what lies with it.

    There the files have the names of a work tree, whatever an engine calls them.
    """
    folder = packed / EVIDENCE
    folder.mkdir()
    for name, file in files.items():
        (folder / f"{name}.json").write_bytes(file.read_bytes())
    (folder / "params.yaml").write_bytes(params_file.read_bytes())
    covered = {"requests": sorted(coverage.requests), "people": sorted(coverage.people)}
    write_json(folder / "coverage.json", covered)


def _number(metrics: Mapping[str, Any], path: str) -> str:
    value = look_up(metrics, path)
    return "" if value is None else f"{value:.4f}"


def _text(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
