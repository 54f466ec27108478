"""Policies: what an adapter must show, in YAML files beside this one, each rule with what it protects from."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from viker.core.files import sha256_path
from viker.core.settings import Section, read_yaml, validated
from viker.gate.rules import parse_rule, readable
from viker.gate.settings import GateParams

FOLDER = Path(__file__).parent
OWN = "A rule of params.yaml."
"""What the rules of params.yaml protect from is for who wrote them to say."""


class PolicyRule(Section):
    """One rule of a policy."""

    rule: str
    protects: str = Field(min_length=1)
    """A sentence: what would get through without it."""

    @field_validator("rule")
    @classmethod
    def _parsed(cls, rule: str) -> str:
        return parse_rule(rule).text


class Requirement(Section):
    """What must be among the metrics: a path at which a number must be, or a rule on counts."""

    metric: str
    protects: str = Field(min_length=1)

    @field_validator("metric")
    @classmethod
    def _parsed(cls, metric: str) -> str:
        return readable(metric)


class Policy(Section):
    """All that an adapter is held to."""

    about: str = Field(min_length=1)
    """For whom the policy is, in a sentence or two."""
    rules: Annotated[list[PolicyRule], Field(min_length=1)]
    require: list[Requirement]


def load_policy(params: GateParams) -> tuple[Policy, str | None]:
    """Return the rules to judge by: those of ``gate.policy``, then those of params.yaml; and the file's SHA-256.

    Raises:
        UserError: the policy's file can't be read.
    """
    rules = [PolicyRule(rule=rule, protects=OWN) for rule in params.rules]
    require = [Requirement(metric=metric, protects=OWN) for metric in params.require]
    if params.policy is None:
        return Policy(about="The rules of params.yaml alone.", rules=rules, require=require), None
    path = FOLDER / f"{params.policy}.yaml"
    shipped = read_policy(path)
    whole = Policy(about=shipped.about, rules=shipped.rules + rules, require=shipped.require + require)
    return whole, sha256_path(path)


def read_policy(path: Path) -> Policy:
    """Read a policy.

    Raises:
        UserError: it is missing, no YAML, without rules, or holds something that is no rule.
    """
    return validated(Policy, read_yaml(path, "The policies that come with the project lie beside it."), path)
