"""Requirements on counts that the data can't meet are said before anything is trained."""

import pytest

from viker.core.errors import UserError
from viker.gate.reachable import not_asked, out_of_reach
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


ALL = {
    (split, modality, task): 9
    for split in ("forget", "test", "retain", "real", "unseen")
    for modality in ("image_text", "text")
    for task in ("generation", "cloze", "classification")
}


def test_data_that_ask_everything_leave_nothing_unmeasured():
    assert not_asked(gate("default"), ALL) == not_asked(gate("strict"), ALL) == []


def test_what_a_rule_judges_and_nothing_asks_is_named_once_with_its_splits():
    few = {key: count for key, count in ALL.items() if key[1:] != ("image_text", "cloze") and key[0] != "unseen"}
    (said,) = not_asked(gate("default"), few)
    assert "the policy 'default' judges what the data don't ask" in said and "docs/data.md" in said
    assert "cloze questions with a picture (forget, test, retain, real)" in said
    assert "people that no model was trained on (unseen)" in said and "without a picture" not in said


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("unlearned.forget.text_only.leakage_rate <= 0.1", "open questions without a picture (forget)"),
        ("unlearned.retain.classification_accuracy >= 0.5", "choice questions with a picture (retain)"),
        ("unlearned.fluency.rouge_l >= 0.5 * vanilla.real.leakage_rate", "open questions with a picture (real)"),
        ("upper(unlearned.test.leakage_rate) <= 0.1", "open questions with a picture (test)"),
        ("unlearned.forget.samples >= 1", None),
        ("unlearned.attacks.prefix.leakage_rate <= 0.1", None),
    ],
)
def test_a_rule_of_ones_own_counts_on_either_side(rule, named):
    said = not_asked(gate(rules=[rule]), {})
    assert (named in said[0] and "params.yaml judges" in said[0]) if named else said == []
