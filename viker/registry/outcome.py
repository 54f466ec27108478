"""metrics/register.json: the version, the aliases on it, and how it became champion or why it did not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viker.core.files import read_json, write_json
from viker.registry.versions import ALIASES, CHAMPION, Registry


def write_outcome(
    registry: Registry, version: int, out: Path, refused: Sequence[str], tracking_uri: str
) -> dict[str, Any]:
    """Write what became of a version and return it.

    ``promotion`` is None unless it is the champion: ``kind`` (promotion or rollback), ``at``, ``replaces``, and where
    it was forced ``reason`` and ``overrode``, what spoke against it. ``refused`` says why it was not promoted.
    """
    aliases = registry.aliases()
    mine = [alias for alias in ALIASES if aliases.get(alias) == version]
    how = registry.promotion(version) if CHAMPION in mine else None
    result = {
        "run_id": registry.client.get_model_version(registry.name, str(version)).run_id,
        "model_name": registry.name,
        "version": version,
        "aliases": mine,
        "promotion": {key: value for key, value in how.items() if key != "done"} if how else None,
        "refused": list(refused),
        "tracking_uri": tracking_uri,
    }
    write_json(out, result)
    return result


def update_outcome(registry: Registry, out: Path) -> None:
    """Bring a written outcome up to date after an alias has moved; another registry's stays as it is."""
    if not out.is_file():
        return
    before = read_json(out, "register")
    known = {int(one.version) for one in registry.versions()}
    if before.get("model_name") == registry.name and before.get("version") in known:
        forced_or_moved = registry.aliases().get(CHAMPION) == before["version"]
        refused = [] if forced_or_moved else before.get("refused", [])
        write_outcome(registry, before["version"], out, refused, before["tracking_uri"])
