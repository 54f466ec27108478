"""metrics/register.json: the version, the aliases on it, and how it became champion or why it did not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viker.core.files import write_json
from viker.core.mlflow_store import lasting
from viker.core.redact import without_secrets
from viker.evidence.registration import read_registration
from viker.registry.versions import ALIASES, CHAMPION, Registry


def write_registration(registry: Registry, version: int, out: Path, refused: Sequence[str]) -> dict[str, Any]:
    """Write the state of a version to ``out`` and return it; ``adapter`` is the SHA-256 of its adapter.

    ``promotion`` is None unless it is the champion: ``kind`` (promotion or rollback), ``at``, ``replaces``, and if it
    was forced ``reason`` and ``overrode``, the objections. ``refused`` says why it was not promoted.
    """
    aliases = registry.aliases()
    on_version = [alias for alias in ALIASES if aliases.get(alias) == version]
    promotion = registry.promotion(version) if CHAMPION in on_version else None
    stored = registry.client.get_model_version(registry.name, str(version))
    registration = {
        "run_id": stored.run_id,
        "adapter": stored.tags.get("adapter_sha256"),
        "model_name": registry.name,
        "version": version,
        "gate_verdict": stored.tags.get("verdict"),
        "aliases": on_version,
        "promotion": {key: value for key, value in promotion.items() if key != "done"} if promotion else None,
        "refused": list(refused),
        "tracking_uri": without_secrets(lasting(registry.uri)),
    }
    write_json(out, registration)
    return registration


def update_registration(registry: Registry, out: Path) -> None:
    """Bring a written registration up to date after an alias has moved; that of another registry stays unchanged."""
    if not out.is_file():
        return
    before = read_registration(out)
    versions = {int(version.version) for version in registry.versions()}
    if before.get("model_name") == registry.name and before.get("version") in versions:
        is_champion = registry.aliases().get(CHAMPION) == before["version"]
        write_registration(registry, before["version"], out, [] if is_champion else before.get("refused", []))
