"""What the next run starts from: the champion's adapter, so that whom it has forgotten stays forgotten."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.models.base_model import CONFIG, base_digest
from viker.registry.promotion import known_again
from viker.registry.stored import Coverage, fetch_adapter
from viker.registry.versions import CHAMPION, Registry


@dataclass(frozen=True)
class Start:
    """A champion that has forgotten people on request."""

    version: int
    coverage: Coverage
    base_model: str
    base_digest: str
    sizes: dict[str, Any]
    """``lora_r`` and ``lora_alpha`` of its adapter."""


def champion_start(registry: Registry) -> Start | None:
    """Return the champion, if there is one and it has forgotten people on request; else a run starts from nothing.

    Raises UserError: the registry doesn't answer, or its adapter is missing.
    """
    with registry.explained("the champion can't be looked up"):
        version = registry.aliases().get(CHAMPION)
        coverage = registry.coverage(version) if version is not None else Coverage()
        if version is None or not coverage.requests:
            return None
        tags = registry.tags(version)
        with tempfile.TemporaryDirectory() as scratch:
            config = json.loads((fetch_adapter(registry, version, Path(scratch)) / CONFIG).read_text(encoding="utf-8"))
    sizes = {"lora_r": config.get("r"), "lora_alpha": config.get("lora_alpha")}
    return Start(version, coverage, tags.get("base_model", ""), tags.get("base_model_digest", ""), sizes)


def check_promotable(
    registry: Registry,
    start: Start,
    unlearn: Any,
    deployed_model: str | None,
    requests: Iterable[str],
    people: set[str],
) -> bool:
    """Return whether the run is to start from the champion's adapter; no, where unlearn.start_from names another.

    Args:
        registry: of the champion.
        start: the champion.
        unlearn: the section of params.yaml.
        deployed_model: finetune.deployed_model.
        requests: the IDs of those that are pending.
        people: whom they name.

    Raises UserError: what the run makes could not be promoted, whatever it measures.
    """
    champion = f"{registry.name} version {start.version}, the champion,"
    if unlearn.method.start_model is not None:
        raise UserError(
            f"unlearn.method is {unlearn.method.name}, which starts from a model of its own: it would know again "
            f"{len(start.coverage.people)} people whom {champion} has forgotten. Choose a method that goes on from it."
        )
    if deployed_model is None:
        raise UserError(
            f"finetune.deployed_model is null, so each run trains another model; the adapter of {champion} belongs to "
            f"'{start.base_model}'. Name that model in finetune.deployed_model, or with --model."
        )
    same = deployed_model == start.base_model and Path(deployed_model).is_dir()
    if not same and base_digest(deployed_model, "finetune.deployed_model") != start.base_digest:
        raise UserError(
            f"finetune.deployed_model is '{deployed_model}', but {champion} belongs to '{start.base_model}' "
            f"({start.base_digest[:12]}). Its adapter doesn't fit: whom it has forgotten would be known again."
        )
    if unlearn.start_from is not None:
        digest = sha256_path(Path(unlearn.start_from)) if Path(unlearn.start_from).is_dir() else ""
        earlier = registry.with_tag("adapter_sha256", digest) if digest else None
        coverage = Coverage(frozenset(requests), frozenset(people))
        coverage |= registry.coverage(earlier) if earlier is not None else Coverage()
        against = known_again(coverage, start.coverage, "a run from unlearn.start_from", f"which {champion} does")
        if against:
            raise UserError(f"{against[0]}. Set unlearn.start_from to null: a run then goes on from the champion.")
        return False
    for key, value in start.sizes.items():
        if getattr(unlearn, key) != value:
            raise UserError(
                f"unlearn.{key} is {getattr(unlearn, key)}, but the adapter of {champion} has {value}. "
                f"Set it to {value}."
            )
    return True
