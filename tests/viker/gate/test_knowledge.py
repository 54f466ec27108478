"""What the vanilla model doesn't know can't be shown to be forgotten, and is said before a search."""

import pytest

from viker.gate.knowledge import not_known
from viker.gate.settings import GateParams

DEFAULT = GateParams(policy="default", rules=[], require=[])


def metrics(forget: float, test: float) -> dict:
    rates = ("leakage_rate", "fuzzy_leakage_rate", "cloze_accuracy", "people_leaked_rate")
    return {"vanilla": {"forget": dict.fromkeys(rates, forget), "test": dict.fromkeys(rates, test)}}


def test_a_model_that_knows_everything_leaves_nothing_to_say():
    assert not_known(DEFAULT, metrics(1.0, 1.0)) == []


def test_what_is_required_of_the_vanilla_model_is_named_with_its_number():
    required = [text for text in not_known(DEFAULT, metrics(0.2, 1.0)) if text.startswith("required")]
    assert required == ["required is vanilla.forget.leakage_rate >= 0.3, and it is 0.2."]


@pytest.mark.parametrize(("test", "named"), [(0.15, True), (0.16, False)])
def test_a_rule_that_the_vanilla_model_meets_shows_nothing(test, named):
    said = "unlearned.test.leakage_rate <= 0.15 shows nothing, as vanilla.test.leakage_rate is 0.15."
    assert (said in not_known(DEFAULT, metrics(1.0, test))) == named


def test_rules_that_may_be_empty_and_attacks_are_not_judged():
    problems = not_known(DEFAULT, {"vanilla": {}})
    assert problems and not [text for text in problems if "text_only" in text or "attacks" in text]


def test_a_rule_of_ones_own_counts_too():
    own = GateParams(policy=None, rules=["unlearned.forget.leakage_rate <= 0.5"], require=[])
    assert not_known(own, metrics(0.4, 0.0)) and not_known(own, metrics(0.6, 0.0)) == []
