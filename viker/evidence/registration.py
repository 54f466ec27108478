"""metrics/register.json as it is read: which version the adapter became, and whether it is the champion."""

from pathlib import Path

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from viker.core.files import read_json


class Promotion(TypedDict, total=False):
    """How a version became the champion; ``reason`` and ``overrode`` if it was forced."""

    kind: str
    at: str
    replaces: int | None
    instead_of: int | None
    reason: str
    overrode: list[str]


class Registration(TypedDict, total=False):
    """What register writes; ``adapter`` is the SHA-256, ``refused`` says why the version was not promoted."""

    run_id: str
    adapter: str | None
    model_name: str
    version: int
    gate_verdict: str | None
    aliases: list[str]
    promotion: Promotion | None
    refused: list[str]
    tracking_uri: str


def read_registration(path: Path) -> Registration:
    """Return what register wrote; asking for a key that it lacks is a ``UserError``.

    Raises UserError: it is missing, not JSON, or a value has another type than in ``Registration``.
    """
    return read_json(path, "register", Registration)
