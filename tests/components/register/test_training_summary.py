"""What was trained must be what was evaluated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from viker.core.errors import UserError
from viker.core.files import write_json
from viker.evidence.seal import seal

if TYPE_CHECKING:
    from tests.registry import Work


def test_a_training_summary_that_is_not_the_adapters_registers_nothing(work: Work) -> None:
    path = work.folder / "unlearning/summary.json"
    summary = json.loads(path.read_text())
    write_json(path, summary | {"start_from": "0" * 64})
    with pytest.raises(UserError, match=r"summary\.json: edited after unlearn wrote it"):
        work.register()
    write_json(path, seal(summary | {"adapter": "0" * 64}))
    with pytest.raises(UserError, match=r"summary\.json: about another adapter"):
        work.register()
    assert work.versions() == []
