"""The policies that come with the project, and the rules of params.yaml beside them."""

from pathlib import Path

import pytest

from benchmarks.gate.show import policy_table
from viker.core.errors import UserError
from viker.gate.policies import FOLDER, load_policy, read_policy
from viker.gate.settings import GateParams

ROOT = Path(__file__).parents[3]
SHIPPED = [path.stem for path in sorted(FOLDER.glob("*.yaml"))]
OWN = "unlearned.forget.truth_ratio >= 0.9"


def params(policy: str | None, rules: list[str], require: list[str]) -> GateParams:
    return GateParams.model_validate({"policy": policy, "rules": rules, "require": require})


def test_the_shipped_policies_are_those_that_params_can_name() -> None:
    assert SHIPPED == ["benchmark", "default", "strict"]


@pytest.mark.parametrize("name", SHIPPED)
def test_each_rule_of_a_policy_is_there_once_and_says_what_it_protects_from(name: str) -> None:
    policy = read_policy(FOLDER / f"{name}.yaml")
    texts = [one.rule for one in policy.rules] + [one.metric for one in policy.require]
    assert len(set(texts)) == len(texts)
    assert all(one.protects.endswith(".") for one in (*policy.rules, *policy.require))


def test_rules_of_params_are_added_to_the_policys() -> None:
    alone, _ = load_policy(params("default", [], []))
    both, _ = load_policy(params("default", [OWN], ["unlearned.forget.truth_ratio"]))
    assert both.rules[:-1] == alone.rules
    assert (both.rules[-1].rule, both.require[-1].metric) == (OWN, "unlearned.forget.truth_ratio")


def test_without_a_policy_the_rules_of_params_are_all() -> None:
    policy, digest = load_policy(params(None, [OWN], []))
    assert ([one.rule for one in policy.rules], policy.require, digest) == ([OWN], [], None)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("about: x\nrules: []\nrequire: []\n", "rules"),
        ("about: x\nrules: [{rule: leakage is low, protects: x.}]\nrequire: []\n", "not a rule"),
        ("about: x\nrules: [{rule: a.b <= 1}]\nrequire: []\n", "protects"),
        ("about: x\nrules: [{rule: a.b <= 1, protects: x.}]\nrequire: [{metric: a, protects: x.}]\n", "not the path"),
    ],
)
def test_a_policy_without_rules_or_with_something_else_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=named):
        read_policy(tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_page_says_of_every_rule_what_it_protects_from(name: str) -> None:
    page = (ROOT / "docs/gate.md").read_text()
    assert policy_table(read_policy(FOLDER / f"{name}.yaml")) in page
