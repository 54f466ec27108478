"""Redaction: credentials in addresses, and the values of secret environment variables, are replaced by ``***``."""

import os
import re
from typing import Any

SECRETS = {
    "key",
    "keys",
    "apikey",
    "secret",
    "secrets",
    "token",
    "pass",
    "pwd",
    "auth",
    "authorization",
    "credential",
    "credentials",
}
"""Last words of a variable's name that say that its value is secret."""
_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey")
"""Ends of such words, as in PGPASSWORD."""
_AFTER = {"id", "old", "new", "prod", "dev", "test", "value", "b64", "base64", "base"}
"""Words that may follow: AWS_ACCESS_KEY_ID, API_KEY_OLD, TOKEN_2."""
SHORTEST = 6
"""Shorter values of such variables are not taken for secrets: they occur as ordinary words."""
WORD = 12
"""Shorter ones are replaced where they stand as a whole word only."""
_USER = re.compile(r"(?<=://)(?:[^\s'\"/@:]*:[^\s'\"]*|[^\s'\"/]*)@")
"""Between :// and @; a slash can be in a password, which follows a colon, and an @ can be in a path, which doesn't."""
_VALUE = re.compile(r"([A-Za-z][\w.-]*)=([^&\s'\"]+)")


def is_secret(name: str) -> bool:
    """Return whether a variable of that name holds a secret, by its last word: SSH_KEY does, SSH_KEY_NAME doesn't."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|\d+", name)]
    while words and (words[-1] in _AFTER or words[-1].isdigit()):
        words.pop()
    return bool(words) and (words[-1] in SECRETS or words[-1].endswith(_ENDINGS))


def without_secrets(text: str) -> str:
    """Return ``text`` with the credentials of every URI in it replaced, and the values of secret variables."""
    text = _USER.sub("***@", text)
    return _VALUE.sub(lambda match: f"{match[1]}=***" if is_secret(match[1]) else match[0], text)


def has_credentials(uri: str) -> bool:
    """Return whether an address has a password, a token or a signature in it; the user of SSH is none."""
    user = _USER.search(uri)
    if user and (":" in user[0] or not re.match(r"(dvc\+)?(git\+)?ssh://", uri)):
        return True
    return any(is_secret(name) or "signature" in name.lower() for name, _ in _VALUE.findall(uri.partition("?")[2]))


def redacted(value: Any) -> Any:
    """Return a JSON value with every secret in its texts replaced."""
    secrets = {v for name, v in os.environ.items() if is_secret(name) and len(v) >= SHORTEST and v[0] != "/"}
    return _redacted(value, [_pattern(secret) for secret in sorted(secrets, key=len, reverse=True)])


def _pattern(secret: str) -> re.Pattern[str]:
    escaped = re.escape(secret)
    return re.compile(escaped if len(secret) >= WORD else rf"(?<!\w){escaped}(?!\w)")


def _redacted(value: Any, secrets: list[re.Pattern[str]]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = secret.sub("***", value)
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _redacted(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item, secrets) for item in value]
    return value
