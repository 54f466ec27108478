"""Redaction: credentials in addresses, and the values of secret environment variables, are replaced by ``***``."""

import os
import re
from typing import Any

SECRET_NAME = re.compile(r"key|secret|token|passw|pwd|credential|auth", re.IGNORECASE)
SHORTEST = 6
"""Shorter values of such variables are not taken for secrets: they occur as ordinary words."""
_USER = re.compile(r"(?<=://)[^\s'\"]*@")
_SECRET = re.compile(r"((?:password|passwd|pwd|token|secret|key)[a-z_]*=)[^&\s'\"]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Return ``text`` with the credentials of every URI in it replaced."""
    return _SECRET.sub(r"\1***", _USER.sub("***@", text))


def redacted(value: Any) -> Any:
    """Return a JSON value with every secret in its texts replaced."""
    secrets = {v for name, v in os.environ.items() if SECRET_NAME.search(name) and len(v) >= SHORTEST and v[0] != "/"}
    return _redacted(value, sorted(secrets, key=len, reverse=True))


def _redacted(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _redacted(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item, secrets) for item in value]
    return value
