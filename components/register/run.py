"""The version of the registered model for an evaluated adapter, its evidence in MLflow, and the aliases on it."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from components.contract.params import Params
from components.register.stage import Arguments
from viker.attacks.base.strongest import in_words
from viker.core.files import read_json, sha256_json
from viker.core.manifest import MANIFEST, Manifest, read_manifest
from viker.core.mlflow_store import tracking_uri
from viker.core.nested import main_metrics
from viker.core.provenance import code_version
from viker.evidence import audit
from viker.evidence.seal import params_digest
from viker.evidence.training_summary import NAME, read_summary
from viker.gate.doubts import Policy
from viker.models.base_model import base_digest, resolve_model
from viker.registry.model_card import card, shown_base
from viker.registry.model_package import add_evidence, pack
from viker.registry.promotion import Refused, promote
from viker.registry.registration import write_registration
from viker.registry.stored import Coverage
from viker.registry.verdict import check_evaluated, check_verdict, version_tags
from viker.registry.versions import CANDIDATE, Registry
from viker.tracking import PIPELINE, Stage
from viker.tracking.published import params_text

KEY = "viker.version_key"
"""The tag by which a version is found again: the same adapter, metrics, verdict and parameters make no second one."""

log = logging.getLogger(__name__)


def run(params: Params, params_file: Path, args: Arguments) -> dict[str, Any]:
    """Register an evaluated adapter; write ``out`` (metrics/register.json) and return its content.

    The alias ``candidate`` moves to the version; ``champion`` moves only if ``promotes`` is set and nothing speaks
    against it, see ``viker.registry.promotion``. The same inputs again give the same version.

    Raises:
        UserError: an input is missing, the metrics or the verdict belong to other files, MLflow does not answer.
            Then nothing is registered and no alias moves.
    """
    measured, verdict = read_json(args.metrics, "evaluate"), read_json(args.gate, "gate")
    manifest_file = args.prepared / MANIFEST
    hashes = check_evaluated(
        {"adapter": args.adapter, "model": args.model, "data": manifest_file},
        measured,
        args.metrics,
        params_digest(params.seed, params.values()["evaluate"]),
    )
    trained = read_summary(args.unlearning, hashes["adapter"])
    check_verdict(verdict, args.gate, measured, trained, hashes, Policy(params.gate))
    manifest = read_manifest(args.prepared)
    base = resolve_model(args.model)
    root = params_file.resolve().parent
    if (folder := Path(base).expanduser().resolve()).is_dir():
        base = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)
    digest = base_digest(str(folder) if folder.is_dir() else base, "finetune.deployed_model")
    key = sha256_json([hashes["adapter"], measured["digest"], verdict["digest"], params.values()])
    tags = version_tags(hashes, measured, verdict) | {"base_model": shown_base(base), "base_model_digest": digest}
    tags |= code_version(root)

    with (
        Stage("register", params.values(), params_file, required=True) as recorded,
        tempfile.TemporaryDirectory() as scratch,
    ):
        recorded.metrics(main_metrics(measured), run=PIPELINE)
        recorded.tags(
            tags | {"attacks": in_words((measured.get("unlearned") or {}).get("attacks") or {})}, run=PIPELINE
        )
        client, _ = recorded.deliver()
        registry = Registry(client, tracking_uri(), params.section("register").model_name)
        with registry.explained("the version was refused"):
            registry.create()
            version = registry.with_tag(KEY, key)
            if version is None:
                coverage = _coverage(registry, manifest, trained)
                packed, place = Path(scratch) / "model", f"model-{key[:12]}"
                pack(packed, args.adapter, base, digest, params.evaluate.in_force().longest("generation"))
                files = {"evaluate.json": args.metrics, "gate.json": args.gate, "manifest.json": manifest_file}
                files[NAME] = args.unlearning / NAME
                covered = {"requests": sorted(coverage.requests), "people": sorted(coverage.people)}
                public = Path(scratch) / "params.yaml"
                text = params_file.read_text(encoding="utf-8")
                redact = params.section("register").publish == "redacted"
                public.write_text(params_text(params.values(), text) if redact else text, encoding="utf-8")
                add_evidence(packed, files | {"params.yaml": public}, covered)
                recorded.artifact(packed, place, run=PIPELINE)
                _, run_id = recorded.deliver()
                tags |= {KEY: key, "requests": ", ".join(sorted(coverage.requests)), "run": run_id}
                tags["method"] = trained["method"]
                people, requests = len(manifest.get("forget_ids", ())), len(coverage.requests)
                about = card(registry.name, trained["method"], tags, measured, people, requests)
                set_tags = {name: value for name, value in tags.items() if value}
                version = registry.add(place, run_id, set_tags, about, KEY)
                judged = {name: tags[name] for name in ("verdict", "policy", "adapter_sha256", "requests")}
                audit.append("verdict", {"model": registry.name, "version": version} | judged)
            with registry.lock():
                client.set_registered_model_alias(registry.name, CANDIDATE, str(version))
            refused = _try_to_promote(registry, version, Policy(params.gate)) if args.promote else []
            return write_registration(registry, version, args.out, refused)


def _try_to_promote(registry: Registry, version: int, policy: Policy) -> list[str]:
    """Promote a version that was not champion before; return the objections."""
    promotion = registry.promotion(version)
    if promotion is not None and promotion["done"]:
        return []  # it was champion once: a person, or a later version, has decided that it no longer is
    try:
        moved = promote(registry, version, policy)
    except Refused as refused:
        return refused.reasons
    audit.append("promotion", {"model": registry.name, "version": version, "replaces": moved.replaced})
    return []


def _coverage(registry: Registry, manifest: Manifest, trained: dict[str, Any]) -> Coverage:
    """Return what the adapter has forgotten on request: now, and through the adapter that it started from."""
    requests = frozenset(manifest.get("requests", ()))
    coverage = Coverage(requests, frozenset(manifest.get("forget_ids", ()) if requests else ()))
    digest = trained["start_from"]
    if digest is None:
        return coverage
    earlier = registry.with_tag("adapter_sha256", str(digest))
    if earlier is not None:
        return coverage | registry.coverage(earlier)
    log.warning(
        "the adapter that unlearn started from (%s) is no version of %s: what it has forgotten is not known here, so "
        "it does not count when the version is promoted",
        str(digest)[:12],
        registry.name,
    )
    return coverage
