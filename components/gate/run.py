"""Read the metrics, judge them, write the verdict."""

from pathlib import Path
from typing import Any

from components.common.files import read_json, write_json
from components.common.params import GateParams
from components.gate.judge import judge


def run(params: GateParams, metrics: Path, out: Path) -> dict[str, Any]:
    """Write the verdict on ``metrics`` to ``out`` and return it; see ``judge`` for its shape.

    Raises:
        UserError: the metrics are missing or not JSON.
    """
    verdict = judge(params.rules, read_json(metrics, "evaluate"))
    write_json(out, verdict)
    return verdict
