"""Requirements on counts that the data can't meet are said before anything is trained."""

import pytest

from viker.core.errors import UserError
from viker.gate.reachable import out_of_reach
from viker.gate.settings import GateParams

ENOUGH = {split: {"samples": 20, "people": 3} for split in ("forget", "test", "retain", "real")}


def gate(policy=None, rules=("unlearned.forget.leakage_rate <= 0.1",), require=()):
    return GateParams(policy=policy, rules=list(rules), require=list(require))


def test_one_person_never_reaches_twenty_questions_a_split():
    counts = ENOUGH | {"forget": {"samples": 2, "people": 1}, "test": {"samples": 1, "people": 1}}
    problems = out_of_reach(gate("default"), counts)
    assert len(problems) == 2
    assert (
        "the policy 'default' requires unlearned.forget.samples >= 20, but the data have 2 questions of forget"
        in problems[0]
    )
    assert "1 question of test" in problems[1]


def test_enough_is_enough_and_a_stricter_policy_asks_for_more():
    assert out_of_reach(gate("default"), ENOUGH) == []
    assert len(out_of_reach(gate("strict"), ENOUGH)) == 5


def test_a_split_that_is_missing_has_nothing():
    assert len(out_of_reach(gate("default"), {})) == 4


@pytest.mark.parametrize(
    ("require", "problems"),
    [
        ("unlearned.retain.people >= 4", 1),
        ("unlearned.retain.people >= 3", 0),
        ("unlearned.retain.people > 3", 1),
        ("vanilla.test.samples >= 21", 1),
        ("unlearned.forget.leakage_rate <= 0.1", 0),
        ("unlearned.forget.samples >= 2 * vanilla.forget.samples", 0),
        ("unlearned.forget.rouge_l", 0),
    ],
)
def test_own_requirements_count_too(require, problems):
    assert len(out_of_reach(gate(require=[require]), ENOUGH)) == problems


def test_a_policy_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such file"):
        out_of_reach(gate("nowhere.yaml"), ENOUGH)
