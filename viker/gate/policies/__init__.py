"""Policies: what an adapter must show, one YAML file each in this folder, every rule with what it protects from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from viker.core.files import sha256_path
from viker.core.settings import Section, read_yaml, validated
from viker.core.shipped import shipped_names, shipped_path
from viker.gate.rules import parse_rule, readable

if TYPE_CHECKING:
    from viker.gate.settings import GateParams

FOLDER = Path(__file__).parent
OWN_RULE = "What it was added to params.yaml for."
"""Stands for what the rules of params.yaml protect from, which only their author knows."""


class PolicyRule(Section):
    """One rule of a policy."""

    rule: str
    protects: str = Field(min_length=1)
    """A sentence: what would get through without it."""
    bound: float | None = None
    """What the 95 % bound of the metric may be at worst, where the data have enough people to show that."""
    may_be_empty: str | None = None
    """Why a rule on a leak may be met by the vanilla model too, and so show nothing; None: then it fails."""

    when: str | None = None
    """Another rule: where it isn't met, this one isn't judged, and the verdict says so; None: always judged."""

    @field_validator("rule", "when")
    @classmethod
    def _parsed(cls, rule: str | None) -> str | None:
        return None if rule is None else parse_rule(rule).text


class Requirement(Section):
    """What must be among the metrics: a path at which a number must be, or a rule on counts."""

    metric: str
    protects: str = Field(min_length=1)

    @field_validator("metric")
    @classmethod
    def _parsed(cls, metric: str) -> str:
        return readable(metric)


class Policy(Section):
    """Everything that an adapter is held to."""

    about: str = Field(min_length=1)
    """For whom the policy is, in a sentence or two."""
    release: bool = False
    """Whether an adapter that passes may become the champion without --force."""
    rules: Annotated[list[PolicyRule], Field(min_length=1)]
    require: list[Requirement]


def shipped_policies() -> list[str]:
    """Return the names of the policies that come with the project."""
    return shipped_names(FOLDER)


def policy_path(policy: str) -> Path:
    """Return the file of a policy, by name or path. Raises ValueError: see ``shipped_path``."""
    return shipped_path(policy, FOLDER, "policy", or_null=True)


def load_policy(params: GateParams) -> tuple[Policy, str | None]:
    """Return the rules to judge by: those of ``gate.policy``, then those of params.yaml; and the file's SHA-256.

    Raises UserError: the policy's file is missing or is no policy.
    """
    rules = [PolicyRule(rule=rule, protects=OWN_RULE) for rule in params.rules]
    require = [Requirement(metric=metric, protects=OWN_RULE) for metric in params.require]
    if params.policy is None:
        about = "The rules of params.yaml alone, which are no policy for a release."
        return Policy(about=about, rules=rules, require=require), None
    path = policy_path(params.policy)
    policy = read_policy(path)
    whole = policy.model_copy(update={"rules": policy.rules + rules, "require": policy.require + require})
    return whole, sha256_path(path)


def read_policy(path: Path) -> Policy:
    """Read a policy. Raises UserError: it is missing, not YAML, without rules, or has something that is not a rule."""
    missing = f"'gate.policy' names it: give a path from the project's root, or one of {', '.join(shipped_policies())}."
    return validated(Policy, read_yaml(path, missing), path)
