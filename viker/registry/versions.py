"""The registered model: its versions, what is known of each, and the aliases on them."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.registry.lock import lock
from viker.registry.model_package import ADAPTER, EVIDENCE
from viker.tracking import explained

CANDIDATE, CHAMPION, PREVIOUS = ALIASES = ("candidate", "champion", "previous")
PROMOTION = "promotion"
"""The tag of a version that says how it became champion; its field 'done' is true once the move is complete."""
FORCED = "forced"
"""The tag of a champion that was promoted against the rules: the reason that was given."""
HINT = "Correct what it names: register.model_name, or access to the server and its artifacts"


@dataclass(frozen=True)
class Coverage:
    """The forget requests that an adapter carries out, those of the adapter that it started from included."""

    requests: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    """Whom these requests name."""


@dataclass(frozen=True)
class Record:
    """What is kept with a version, read back from where it is stored; the hashes are of what lies there."""

    version: int
    gate: Mapping[str, Any]
    metrics: Mapping[str, Any]
    found: Mapping[str, str | None]
    """SHA-256 of ``adapter`` and of ``data``, its manifest; None where it isn't there."""
    coverage: Coverage


class Registry:
    """One registered model on one MLflow server or database."""

    def __init__(self, client: Any, uri: str, name: str) -> None:
        """Keep where it is; nothing is asked yet."""
        self.client, self.uri, self.name = client, uri, name

    def create(self) -> None:
        """Make the registered model where there is none."""
        from mlflow.exceptions import MlflowException

        if self.client.search_registered_models(f"name = '{self.name}'", max_results=1):
            return
        try:
            self.client.create_registered_model(
                self.name, description="LoRA adapters that make a multimodal model forget people."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise

    def lock(self) -> AbstractContextManager[Callable[[], None]]:
        """Let one process at a time change versions and aliases, see ``viker.registry.lock``."""
        return lock(self.client, self.name)

    def aliases(self) -> dict[str, int]:
        """Return the version of each alias; a registered model that isn't there has none."""
        found = self.client.search_registered_models(f"name = '{self.name}'", max_results=1)
        if not found:
            return {}
        return {k: int(v) for k, v in self.client.get_registered_model(self.name).aliases.items()}

    def versions(self) -> list[Any]:
        """Return all versions, the newest first."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        return sorted(found, key=lambda one: int(one.version), reverse=True)

    def number(self, wanted: str) -> int:
        """Return the version that an alias or a number means.

        Raises:
            UserError: there is none.
        """
        aliases, known = self.aliases(), [int(one.version) for one in self.versions()]
        if wanted in aliases:
            return aliases[wanted]
        if wanted.isdigit() and int(wanted) in known:
            return int(wanted)
        there = ", ".join(str(one) for one in sorted(known)) or "none"
        named = ", ".join(f"{alias} ({version})" for alias, version in sorted(aliases.items())) or "none"
        raise UserError(
            f"'{wanted}' is no version of {self.name}: expected a number or an alias. Versions: {there}; "
            f"aliases: {named}. 'viker register' makes a version."
        )

    def tags(self, version: int) -> dict[str, str]:
        """Return the tags of a version."""
        return dict(self.client.get_model_version(self.name, str(version)).tags)

    def promotion(self, version: int) -> dict[str, Any] | None:
        """Return how a version became champion, complete or not; None where it never was to."""
        text = self.tags(version).get(PROMOTION)
        return dict(json.loads(text)) if text else None

    def with_tag(self, key: str, value: str) -> int | None:
        """Return the first version with a tag; None where there is none."""
        found = self.client.search_model_versions(f"name = '{self.name}' and tags.`{key}` = '{value}'")
        return min((int(one.version) for one in found), default=None)

    def add(self, folder: str, run_id: str, tags: Mapping[str, str], card: str, key: str) -> int:
        """Make the version of the model in a folder of a run's artifacts, or find the one with the same tag ``key``.

        A request that was carried out but not answered is not sent twice: it is looked up before it is tried again.
        """
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{folder}"
        for last in (False, False, True):
            with self.lock():
                found = self.with_tag(key, tags[key])
                if found is not None:
                    return found
                try:
                    with _no_retries():
                        made = self.client.create_model_version(
                            self.name, source, run_id, tags=dict(tags), description=card
                        )
                    return int(made.version)
                except Exception:  # the connection broke, or the server: MLflow wraps these in errors of many kinds
                    if last:
                        raise
        raise AssertionError("unreachable")

    def record(self, version: int) -> Record:
        """Read back what is kept with a version: adapter, verdict, metrics, data and coverage."""
        with tempfile.TemporaryDirectory() as scratch:
            adapter = self._fetch(version, ADAPTER, Path(scratch))
            evidence = self._fetch(version, EVIDENCE, Path(scratch))
            manifest = evidence / "manifest.json" if evidence else None
            return Record(
                version,
                _json(evidence, "gate.json"),
                _json(evidence, "evaluate.json"),
                {
                    "adapter": sha256_path(adapter) if adapter else None,
                    "data": sha256_path(manifest) if manifest and manifest.is_file() else None,
                },
                _coverage(evidence),
            )

    def coverage(self, version: int) -> Coverage:
        """Return which requests a version carries out, and whom they name."""
        with tempfile.TemporaryDirectory() as scratch:
            return _coverage(self._fetch(version, EVIDENCE, Path(scratch)))

    def move(self, version: int, replaces: int | None, how: Mapping[str, Any], still_mine: Callable[[], None]) -> None:
        """Make a version the champion and ``replaces`` the previous one.

        The champion is one alias, which the server moves in one step: whenever this is killed there is exactly one.
        What was meant is written down before, so that ``settle`` can complete it.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        meant = dict(how) | {"at": at, "replaces": replaces, "done": False}
        if meant.get("reason"):
            self.client.set_model_version_tag(self.name, str(version), FORCED, meant["reason"])
        elif FORCED in self.tags(version):
            self.client.delete_model_version_tag(self.name, str(version), FORCED)
        self._write_promotion(version, meant)
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

    def _fetch(self, version: int, path: str, where: Path) -> Path | None:
        """Fetch a folder of what is stored with a version; None where it isn't there.

        Stores say in ways of their own that there is no such folder (OSError, errors of botocore and of MLflow, an
        empty folder). So what is above is listed first: what is listed must come, and any error is one.
        """
        from mlflow.artifacts import download_artifacts, list_artifacts

        source = self.client.get_model_version_download_uri(self.name, str(version)).rstrip("/")
        above, _, name = f"{source}/{path}".rpartition("/")
        listed = list_artifacts(artifact_uri=above, tracking_uri=self.uri)
        if name not in {one.path.rstrip("/").rpartition("/")[2] for one in listed}:
            return None
        return Path(download_artifacts(artifact_uri=f"{above}/{name}", dst_path=str(where), tracking_uri=self.uri))


@contextmanager
def _no_retries() -> Iterator[None]:
    """Send what MLflow's client sends in the block once: it repeats a request that must not be carried out twice."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})


def _coverage(evidence: Path | None) -> Coverage:
    kept = _json(evidence, "coverage.json")
    return Coverage(frozenset(kept.get("requests", ())), frozenset(kept.get("people", ())))


def _json(evidence: Path | None, name: str) -> dict[str, Any]:
    """Return a file of the evidence; what is missing, or no JSON, is empty and proves nothing."""
    if evidence is None or not (evidence / name).is_file():
        return {}
    try:
        found = json.loads((evidence / name).read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
