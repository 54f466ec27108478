"""Stand-ins for the stages' programs: they write what the compiled pipeline says, and end as a test wants."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kubeflow.launcher import Attempt

RESULTS: dict[str, Any] = {
    "work": "yes",
    "folder": "s3://bucket/requests",
    "requests_sha256": "0" * 64,
    "champion": "",
    "refusals": "0",
    "model_name": "viker-adapter",
    "verdict": "pass",
    "gate_verdict": "pass",
    "version": 1,
    "outcome": "done",
    "state": "same",
}
"""Results by name; what isn't here is a stage's parameters, {"of": NAME}."""


def programs(
    results: dict[str, Any] | None = None,
    ends: dict[str, Callable[[Attempt], int | str | None]] | None = None,
    sizes: dict[str, int] | None = None,
) -> Callable[[Attempt], int | str | None]:
    """Return what a ``Backend`` runs: ``ends`` says how a task ends, ``sizes`` how large an artifact is, in bytes."""
    values = RESULTS | (results or {})

    def run(attempt: Attempt) -> int | str | None:
        code = (ends or {}).get(attempt.task, lambda task: int(task.task.startswith("refuse-")))(attempt)
        if code != 0:
            return code
        for name, path in attempt.outputs().items():
            path.write_bytes(b"x" * (sizes or {}).get(name, 1))
        for name, place in attempt.input["outputs"]["parameters"].items():
            value = values.get(name, {"of": name})
            Path(place["outputFile"]).write_text(value if isinstance(value, str) else json.dumps(value))
        return 0

    return run
