"""Secrets stay out of what is logged: those in addresses, and the values of the environment's secret variables."""

import os
import re
from typing import Any

from viker.tracking.connection import without_secrets

SECRET_NAME = re.compile(r"key|secret|token|passw|pwd|credential|auth", re.IGNORECASE)
SHORTEST = 6
"""Shorter values of such variables are no secrets, but words that occur anywhere."""


def redacted(value: Any) -> Any:
    """Return a value of JSON with every secret in its texts replaced by ``***``."""
    return _clean(value, _secrets())


def _secrets() -> list[str]:
    found = {v for name, v in os.environ.items() if SECRET_NAME.search(name) and len(v) >= SHORTEST and v[0] != "/"}
    return sorted(found, key=len, reverse=True)


def _clean(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _clean(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, secrets) for item in value]
    return value
