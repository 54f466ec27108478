"""The metrics, measured on two pools of models: what ``default`` rests on tells them apart, and the page says so."""

import json
from pathlib import Path

import pytest

from benchmarks.meta.auc import CONDITIONS, LEAST, judged_paths, numbers_of_knowledge, table
from viker.gate.policies import FOLDER, read_policy
from viker.gate.rules import parse_rule

ROOT = Path(__file__).parents[3]
META = json.loads(Path(__file__).with_name("meta.json").read_text(encoding="utf-8"))
ROWS = {row["path"]: row for row in META["rows"]}
NOT_OF_KNOWLEDGE = {
    "forget.information.others_above_chance": "of one person's values given for another's, which neither pool does",
    "attacks.random.levels.p_value": "of triggers, which neither pool has",
}
"""Rules of ``default`` that look for something else than what the pools differ in; planted failures test these."""
DEFAULT = [one.path for one in judged_paths() if "default" in one.policies]


def test_there_are_twelve_models_in_each_pool_and_every_number_of_knowledge():
    assert META["models"] >= 12
    assert set(ROWS) == {one.path for one in numbers_of_knowledge()}
    assert all(len(row[pool]) in (0, META["models"]) for row in ROWS.values() for pool in ("knowing", "never"))


@pytest.mark.parametrize("path", [path for path in DEFAULT if path not in NOT_OF_KNOWLEDGE])
def test_what_cant_tell_the_pools_apart_is_no_evidence_in_default(path):
    rules = {parse_rule(one.rule).metric.path: one for one in read_policy(FOLDER / "default.yaml").rules}
    auc = ROWS[path]["auc"][CONDITIONS[0]]
    assert auc >= LEAST or rules[f"unlearned.{path}"].may_be_empty


def test_the_page_has_the_table_of_these_numbers():
    assert table(META["rows"]) in (ROOT / "docs/gate.md").read_text(encoding="utf-8")
