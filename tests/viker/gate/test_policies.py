"""The policies that come with the project, policies of one's own, and the rules of params.yaml added to them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.gate.policies import FOLDER, load_policy, read_policy, shipped_policies
from viker.gate.settings import GateParams

SHIPPED = shipped_policies()
OWN = "unlearned.forget.truth_ratio >= 0.9"
MINE = """
about: For us.
rules: [{rule: unlearned.forget.leakage_rate <= 0.2, protects: Leaks.}]
require: []
"""


def params(policy: str | None, rules: list[str], require: list[str]) -> GateParams:
    return GateParams.model_validate({"policy": policy, "rules": rules, "require": require})


def test_the_shipped_policies_are_the_files_that_are_there() -> None:
    assert {"benchmark", "default", "strict"} <= set(SHIPPED)
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == SHIPPED


def test_a_new_file_is_a_policy_without_being_listed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viker.gate.policies.FOLDER", tmp_path)
    (tmp_path / "lenient.yaml").write_text(MINE)
    policy, _ = load_policy(params("lenient", [], []))
    assert policy.about == "For us."


@pytest.mark.parametrize(("name", "hint"), [("defualt", "did you mean 'default'"), ("lax", "Expected 'benchmark', ")])
def test_an_unknown_policy_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ValidationError, match=f"there is no such policy.*{hint}"):
        params(name, [], [])


def test_a_policy_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    policy, digest = load_policy(params(str(path), [OWN], []))
    assert [one.rule for one in policy.rules] == ["unlearned.forget.leakage_rate <= 0.2", OWN]
    assert digest == sha256_path(path)


def test_a_policy_of_ones_own_that_is_missing_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml: no such file\. 'gate\.policy' names it: give a path"):
        load_policy(params(str(tmp_path / "mine.yaml"), [], []))


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
