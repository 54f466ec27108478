"""The unlearning run's summary is evidence: bound to the adapter, counted again, and judged by the policy."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.viker.gate.test_integrity import failed
from viker.core.errors import UserError
from viker.core.files import sha256_path, write_json
from viker.evidence.seal import seal
from viker.gate.integrity import FLOORS_COUNTED
from viker.metrics.base.floors import summarised

if TYPE_CHECKING:
    from tests.viker.gate.conftest import Tree

TOKENS = "unlearning.private_tokens.first_tokens_kept <= 0.25 * unlearning.private_tokens.values"
VALUES = "unlearning.private_tokens.values_kept <= 0.05 * unlearning.private_tokens.values"


def test_private_tokens_that_the_loss_keeps_fail_the_default_policy(tree: Tree) -> None:
    tree.unlearn(floor=0.78)
    verdict = tree.judge()
    assert failed(verdict) == [TOKENS, VALUES]
    (tokens,) = (one for one in verdict["rules"] if one["rule"] == TOKENS)
    assert tokens["value"] == 4 * tokens["threshold"] > 0


def test_a_floor_of_one_half_is_no_floor_above_it(tree: Tree) -> None:
    tree.unlearn(floor=0.5)
    assert failed(tree.judge()) == []


def test_figures_that_the_records_do_not_bear_out_fail(tree: Tree) -> None:
    tree.unlearn(floor=0.78)
    path = tree.unlearning / "summary.json"
    summary = json.loads(path.read_text())
    summary["private_tokens"] |= {"first_tokens_kept": 0, "values_kept": 0}
    write_json(path, seal(summary))
    verdict = tree.judge()
    assert failed(verdict) == [FLOORS_COUNTED]
    (counted,) = (one for one in verdict["require"] if one["rule"] == FLOORS_COUNTED)
    assert "values_kept is 0, counted" in counted["reason"] and "viker unlearn" in counted["reason"]


def test_records_without_the_tokens_of_some_answers_fail(tree: Tree) -> None:
    tree.unlearn()
    path = tree.unlearning / "private_tokens.parquet"
    rows = pd.read_parquet(path)
    rows[rows["record_id"] != rows["record_id"][0]].to_parquet(path, index=False)
    summary = json.loads((tree.unlearning / "summary.json").read_text())
    summary["private_tokens"] = summarised(pd.read_parquet(path))
    summary["records"] |= {path.name: sha256_path(path)}
    write_json(tree.unlearning / "summary.json", seal(summary))
    assert failed(tree.judge()) == [FLOORS_COUNTED]


def test_the_summary_of_another_adapter_fails(tree: Tree) -> None:
    summary = json.loads((tree.unlearning / "summary.json").read_text())
    write_json(tree.unlearning / "summary.json", seal(summary | {"adapter": "0" * 64}))
    verdict = tree.judge()
    assert failed(verdict) == [FLOORS_COUNTED]
    assert str(tree.folder) not in json.dumps(verdict)


def test_an_adapter_from_elsewhere_needs_a_policy_that_says_nothing_of_its_unlearning(tree: Tree) -> None:
    shutil.rmtree(tree.unlearning)
    with pytest.raises(UserError, match=r"unlearning/summary\.json: no such file, but the policy's rule .* elsewhere"):
        tree.judge()
    verdict = tree.judge(policy=None, rules=["unlearned.forget.leakage_rate <= 0.1"])
    assert failed(verdict) == [] and verdict["inputs"]["unlearning"] is None
