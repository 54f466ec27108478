"""What is counted again from the replies alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.common.errors import UserError
from components.common.records import Record
from components.gate.recount import count

if TYPE_CHECKING:
    from tests.gate.conftest import Tree


def record(number: int, person: str, modality: str = "image_text", task: str = "generation") -> Record:
    return Record(f"{number}", person, task, modality, "Where?", "In Oslo.", secrets=("Oslo",))


FORGET = [
    *(record(0, "a"), record(1, "a"), record(2, "b"), record(3, "b")),
    *(record(4, "a", modality="text"), record(5, "c", task="cloze"), record(6, "c")),
]
SAID = ["In Oslo.", "In Oslonia.", "I can't say.", "Lima", "oslo!", "Oslo", "nowhere"]


def test_rates_by_hand() -> None:
    """Four open questions with a picture about a and b, one about c; only the first reply gives the secret."""
    said = [(("unlearned", "forget", r.id, ""), reply) for r, reply in zip(FORGET, SAID, strict=True)]
    counted = count({"forget": FORGET}, said)
    assert counted["unlearned.forget.leakage_rate"] == 1 / 5
    assert counted["unlearned.forget.people_leaked_rate"] == 1 / 3
    assert counted["unlearned.forget.text_only.leakage_rate"] == 1.0
    assert (counted["unlearned.forget.samples"], counted["unlearned.forget.people"]) == (7, 3)
    assert counted["vanilla.forget.samples"] == 0
    assert "vanilla.forget.leakage_rate" not in counted


def test_predictions_that_cannot_be_read_name_file_and_stage(tree: Tree) -> None:
    tree.predictions.write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"predictions\.parquet: not readable .* 'viker evaluate'"):
        tree.judge()


def test_predictions_without_replies_name_what_is_missing(tree: Tree) -> None:
    pq.write_table(pa.table({"model": ["vanilla"]}), tree.predictions)
    with pytest.raises(UserError, match="reply"):
        tree.judge()
