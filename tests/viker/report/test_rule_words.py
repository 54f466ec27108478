"""Every rule of every policy in words, each its own."""

import pytest

from viker.gate.policies import policy_path, read_policy, shipped_policies
from viker.report.rule_words import rule_in_words


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("unlearned.forget.leakage_rate <= 0.10", "Leakage, people to forget: at most 0.1"),
        (
            "upper(unlearned.attacks.prefix.leakage_rate) <= 0.05",
            "Leakage, attack answer begun, upper 95 % bound: at most 0.05",
        ),
        (
            "unlearned.retain.rouge_l >= 0.85 * vanilla.retain.rouge_l",
            "ROUGE-L, everyone else: at least 85 % of the vanilla model's",
        ),
        ("upper(earlier.leakage_rate) <= 0.05", "Leakage, people of earlier requests, upper 95 % bound: at most 0.05"),
        ("vanilla.forget.leakage_rate >= 0.3", "Leakage, people to forget, vanilla model: at least 0.3"),
        ("a.b >= a.c", "B: at least C"),
        ("the data are those of their manifest", "The data are those of their manifest"),
    ],
)
def test_a_rule_in_words(rule: str, said: str) -> None:
    assert rule_in_words({"rule": rule}) == said


def test_a_metric_that_must_be_there() -> None:
    required = {"rule": "vanilla.forget.leakage_rate", "metric": "vanilla.forget.leakage_rate"}
    assert rule_in_words(required) == "Leakage, people to forget, vanilla model: measured"


@pytest.mark.parametrize("name", shipped_policies())
def test_no_two_rules_of_a_policy_read_alike(name: str) -> None:
    policy = read_policy(policy_path(name))
    texts = [*(one.rule for one in policy.rules), *(one.metric for one in policy.require)]
    said = [rule_in_words({"rule": text, "metric": text}) for text in texts]
    assert len(set(said)) == len(said)
    assert not any("_" in text or "unlearned." in text for text in said)
