"""manifest.json of the prepared data: what it came from, who is to be forgotten, and the hashes of its files."""

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from viker.core.files import read_json

MANIFEST = "manifest.json"


class Validation(TypedDict, total=False):
    """The suites of expectations, each with the counts ``expectations`` and ``passed``."""

    version: int
    suites: dict[str, dict[str, int]]


class Manifest(TypedDict, total=False):
    """What prepare writes; ``gone`` are people who were forgotten earlier, ``counts`` are by split."""

    source: str
    revision: str | None
    format: str
    seed: int
    forget_ids: list[str]
    requests: list[str]
    gone: list[str]
    counts: dict[str, dict[str, Any]]
    excluded: dict[str, int]
    validation: Validation
    hashes: dict[str, str]
    notes: list[str]


def read_manifest(prepared: Path) -> Manifest:
    """Return the manifest in the folder of prepared data; asking for a key that it lacks is a ``UserError``.

    Raises UserError: it is missing, not JSON, or a value has another type than in ``Manifest``.
    """
    return read_json(prepared / MANIFEST, "prepare", Manifest)
