"""Inputs, and the figures that the benchmarks' published code gives for them; see shared/benchmarks.md."""

import json
from functools import cache
from typing import Any

import pytest

from tests.conftest import ROOT

PATH = ROOT.parent / "shared/data/metric_cases.json"
NEEDS_CASES = pytest.mark.skipif(not PATH.is_file(), reason="the authors' cases are not on this machine")


@cache
def cases() -> dict[str, Any]:
    """Return the cases: ``membership``, ``truth_ratio`` and ``clear``."""
    return dict(json.loads(PATH.read_text(encoding="utf-8")))
