"""The registered model: its versions, their tags, and the aliases on them."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from viker.core.errors import UserError
from viker.core.mlflow_store import explained
from viker.registry.lock import lock
from viker.registry.stored import Coverage, Record, read_record

CANDIDATE, CHAMPION, PREVIOUS = ALIASES = ("candidate", "champion", "previous")
PROMOTION = "promotion"
"""The tag of a version that says how it became champion; its field 'done' is true once the move is complete."""
FORCED = "forced"
"""The tag of a champion that was promoted against the rules: the reason that was given."""
HINT = "Correct what it names: register.model_name, or access to the server and its artifacts"


class Registry:
    """One registered model on one MLflow server or database."""

    def __init__(self, client: Any, uri: str, name: str) -> None:
        """Name the model and its server; nothing is requested yet."""
        self.client, self.uri, self.name = client, uri, name

    def create(self) -> None:
        """Create the registered model where there is none."""
        from mlflow.exceptions import MlflowException

        if self.client.search_registered_models(f"name = '{self.name}'", max_results=1):
            return
        about = "LoRA adapters that make a multimodal model forget people."
        try:
            self.client.create_registered_model(self.name, description=about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise

    def lock(self) -> AbstractContextManager[Callable[[], None]]:
        """Let one process at a time change versions and aliases, see ``viker.registry.lock``."""
        return lock(self.client, self.name)

    def aliases(self) -> dict[str, int]:
        """Return the version of each alias; none where the registered model doesn't exist."""
        if not self.client.search_registered_models(f"name = '{self.name}'", max_results=1):
            return {}
        return {k: int(v) for k, v in self.client.get_registered_model(self.name).aliases.items()}

    def versions(self) -> list[Any]:
        """Return all versions, the newest first."""
        versions = self.client.search_model_versions(f"name = '{self.name}'")
        return sorted(versions, key=lambda version: -int(version.version))

    def number(self, wanted: str) -> int:
        """Return the version that an alias or a number means. Raises UserError: there is none."""
        aliases, known = self.aliases(), [int(version.version) for version in self.versions()]
        if wanted in aliases:
            return aliases[wanted]
        if wanted.isdigit() and int(wanted) in known:
            return int(wanted)
        versions = ", ".join(map(str, sorted(known))) or "none"
        named = ", ".join(f"{alias} ({version})" for alias, version in sorted(aliases.items())) or "none"
        raise UserError(
            f"'{wanted}' is no version of {self.name}: expected a number or an alias. Versions: {versions}; "
            f"aliases: {named}. 'viker register' creates a version."
        )

    def tags(self, version: int) -> dict[str, str]:
        """Return the tags of a version."""
        return dict(self.client.get_model_version(self.name, str(version)).tags)

    def promotion(self, version: int) -> dict[str, Any] | None:
        """Return how a version became champion, complete or not; None if it never did."""
        text = self.tags(version).get(PROMOTION)
        return dict(json.loads(text)) if text else None

    def with_tag(self, key: str, value: str) -> int | None:
        """Return the first version with a tag; None where there is none."""
        versions = self.client.search_model_versions(f"name = '{self.name}' and tags.`{key}` = '{value}'")
        return min((int(version.version) for version in versions), default=None)

    def add(self, folder: str, run_id: str, tags: Mapping[str, str], card: str, key: str) -> int:
        """Create the version of the model in a folder of a run's artifacts, unless one has the same tag ``key``.

        A request that was carried out but not answered is not sent twice: the version is looked up before each try.
        """
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{folder}"
        for last in (False, False, True):
            with self.lock():
                existing = self.with_tag(key, tags[key])
                if existing is not None:
                    return existing
                try:
                    created = self.client.create_model_version(
                        self.name, source, run_id, tags=dict(tags), description=card
                    )
                    return int(created.version)
                except Exception:  # the connection broke, or the server: MLflow wraps these in errors of many kinds
                    if last:
                        raise
        raise AssertionError("unreachable")

    def record(self, version: int, with_adapter: bool = True) -> Record:
        """Read back what is stored with a version: adapter, verdict, metrics, data and coverage."""
        source = str(self.client.get_model_version_download_uri(self.name, str(version)))
        return read_record(version, source, self.uri, with_adapter)

    def coverage(self, version: int) -> Coverage:
        """Read back which requests a version carries out, and whom they name."""
        return self.record(version, with_adapter=False).coverage

    def move(self, version: int, replaces: int | None, how: Mapping[str, Any], still_mine: Callable[[], None]) -> None:
        """Make a version the champion and ``replaces`` the previous one.

        The champion is one alias, which the server moves in one step: whenever this is killed there is exactly one.
        The intent is written down before, so that ``settle`` can complete it.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        intent = dict(how) | {"at": at, "replaces": replaces, "done": False}
        if intent.get("reason"):
            self.client.set_model_version_tag(self.name, str(version), FORCED, intent["reason"])
        elif FORCED in self.tags(version):
            self.client.delete_model_version_tag(self.name, str(version), FORCED)
        self._write_promotion(version, intent)
        still_mine()
        self.client.set_registered_model_alias(self.name, CHAMPION, str(version))
        self.settle()

    def settle(self) -> bool:
        """Complete a move that was cut off after the champion had changed; return whether there was one."""
        aliases = self.aliases()
        champion = aliases.get(CHAMPION)
        how = self.promotion(champion) if champion else None
        if champion is None or how is None or how["done"]:
            return False
        if how["replaces"] is not None:
            self.client.set_registered_model_alias(self.name, PREVIOUS, str(how["replaces"]))
        elif PREVIOUS in aliases:
            self.client.delete_registered_model_alias(self.name, PREVIOUS)
        self._write_promotion(champion, how | {"done": True})
        return True

    def explained(self, problem: str) -> AbstractContextManager[None]:
        """Turn what MLflow raises in the block into one error for the user."""
        return explained(self.uri, problem, HINT)

    def _write_promotion(self, version: int, how: Mapping[str, Any]) -> None:
        text = json.dumps(how, sort_keys=True, ensure_ascii=False)
        self.client.set_model_version_tag(self.name, str(version), PROMOTION, text)
