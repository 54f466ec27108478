"""What is stored with a version, read back: adapter, evidence, and whom it has forgotten."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.core.mlflow_client import patiently
from viker.core.pseudonyms import People
from viker.core.settings import read_yaml
from viker.evidence.training_summary import NAME as SUMMARY
from viker.registry.model_package import ADAPTER, EVIDENCE
from viker.tracking.published import REDACTED


@dataclass(frozen=True)
class Coverage:
    """The forget requests that an adapter carries out, including those of the adapter that it started from."""

    requests: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    """The people whom these requests name, or their pseudonyms."""

    def __or__(self, other: "Coverage") -> "Coverage":
        """Return the requests and people of both."""
        return Coverage(self.requests | other.requests, self.people | other.people)

    def lacking(self, forgotten: "Coverage") -> tuple[list[str], list[str]]:
        """Return the people and the requests of ``forgotten`` that this does not cover, sorted."""
        return People(forgotten.people).without(self.people), sorted(forgotten.requests - self.requests)


@dataclass(frozen=True)
class Record:
    """What is stored with a version; the hashes are of what lies there now."""

    version: int
    gate: Mapping[str, Any]
    metrics: Mapping[str, Any]
    hashes: Mapping[str, str | None]
    """SHA-256 of ``adapter`` and of ``data``, its manifest; None where it isn't there."""
    coverage: Coverage
    training: Mapping[str, Any] = field(default_factory=dict)
    """unlearning/summary.json; empty where the version has none."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Of the prepared data, or what is published of it."""


def read_record(version: int, source: str, uri: str, with_adapter: bool) -> Record:
    """Read back what is stored with a version at ``source``, an address of artifacts."""
    with tempfile.TemporaryDirectory() as scratch:
        adapter = _download(source, ADAPTER, uri, scratch) if with_adapter else None
        evidence = _download(source, EVIDENCE, uri, scratch)
        manifest = evidence / "manifest.json" if evidence else None
        hashes = {
            "adapter": sha256_path(adapter) if adapter else None,
            "data": _digest(manifest) if manifest and manifest.is_file() else None,
        }
        gate, metrics = _read(evidence, "gate.json"), _read(evidence, "evaluate.json")
        stored, data = _read(evidence, "coverage.json"), _read(evidence, "manifest.json")
        training = _read(evidence, SUMMARY)
    coverage = Coverage(frozenset(stored.get("requests", ())), People(stored.get("people", ())))
    return Record(version, gate, metrics, hashes, coverage, training, data)


def record_on_disk(adapter: Path, unlearning: Path, metrics: Path, gate: Path, manifest: Path) -> Record:
    """Return the record of an adapter's folder in a work tree: what the stages wrote, as ``read_record`` has it."""
    data = _read(manifest.parent, manifest.name)
    hashes = {"adapter": sha256_path(adapter), "data": _digest(manifest) if manifest.is_file() else None}
    requests = frozenset(data.get("requests", ()))
    coverage = Coverage(requests, frozenset(data.get("forget_ids", ()) if requests else ()))
    verdict, measured = _read(gate.parent, gate.name), _read(metrics.parent, metrics.name)
    return Record(0, verdict, measured, hashes, coverage, _read(unlearning, SUMMARY), data)


def read_base(registry: Any, version: int) -> tuple[str, str]:
    """Return folder or hub name of a version's base model as it was registered, and what ``base_digest`` must be."""
    source = str(registry.client.get_model_version_download_uri(registry.name, str(version)))
    with tempfile.TemporaryDirectory() as scratch:
        described = _download(source, "MLmodel", registry.uri, scratch)
        if described is None:
            raise UserError(f"{registry.name} version {version}: its files aren't in the registry any more ({source}).")
        config = read_yaml(described, "")["flavors"]["python_function"]["config"]
    return str(config["base_model"]), str(config["base_model_digest"])


def _digest(manifest: Path) -> str:
    """Return the SHA-256 of the data's manifest: as a redacted one says, or its own."""
    return str(_read(manifest.parent, manifest.name).get(REDACTED) or sha256_path(manifest))


def fetch_adapter(registry: Any, version: int, folder: Path) -> Path:
    """Download the adapter of a version below ``folder`` and return where it lies. Raises UserError: it is missing."""
    source = str(registry.client.get_model_version_download_uri(registry.name, str(version)))
    adapter = _download(source, ADAPTER, registry.uri, str(folder))
    if adapter is None:
        raise UserError(
            f"{registry.name} version {version}: its adapter isn't in the registry any more ({source}/{ADAPTER}). "
            "Put it back, or promote another version: 'viker promote VERSION'."
        )
    return adapter


def _read(evidence: Path | None, name: str) -> dict[str, Any]:
    """Return a JSON file of the evidence; one that is missing or not an object is empty and proves nothing."""
    try:
        content = json.loads((evidence / name).read_text(encoding="utf-8")) if evidence else {}
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _download(source: str, path: str, uri: str, scratch: str) -> Path | None:
    """Download a folder below ``source``; None where it isn't there.

    Stores report a missing folder in their own ways (OSError, errors of botocore and of MLflow, an empty folder). So
    the folder above is listed first: what is listed must come, and any error is one.
    """
    from mlflow.artifacts import download_artifacts, list_artifacts

    above, _, name = f"{source.rstrip('/')}/{path}".rpartition("/")
    listed = patiently(lambda: list_artifacts(artifact_uri=above, tracking_uri=uri))
    if name not in {item.path.rstrip("/").rpartition("/")[2] for item in listed}:
        return None
    return Path(
        patiently(lambda: download_artifacts(artifact_uri=f"{above}/{name}", dst_path=scratch, tracking_uri=uri))
    )
