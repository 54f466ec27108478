"""What this process has fallen back from, said when it happens and kept for the run's record."""

import logging

NOTED: list[tuple[str, str]] = []
"""What there was not, and why, in order."""

log = logging.getLogger(__name__)


def record(what: str, reason: str, otherwise: str) -> None:
    """Record and say, once a run, that there is no ``what`` for a ``reason``, and what happens ``otherwise``."""
    if (what, reason) not in NOTED:
        NOTED.append((what, reason))
        log.warning("%s: %s", otherwise, reason)
