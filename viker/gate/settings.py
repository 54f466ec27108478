"""Settings of the gate."""

from pydantic import ValidationInfo, field_validator

from viker.core.settings import Section
from viker.gate.policies import policy_path
from viker.gate.rules import parse_rule, readable


class GateParams(Section):
    """What an adapter must show before it may be promoted."""

    policy: str | None
    """The name of a file in viker/gate/policies, or the path of a policy of your own; null: the rules here alone."""
    rules: list[str]
    """Further rules; see viker/gate/rules.py."""
    require: list[str]
    """What must be among the metrics: the path of a number, or a rule on counts."""

    @field_validator("policy")
    @classmethod
    def _known(cls, policy: str | None) -> str | None:
        if policy is not None:
            policy_path(policy)
        return policy

    @field_validator("rules")
    @classmethod
    def _parsed(cls, rules: list[str], info: ValidationInfo) -> list[str]:
        if not rules and info.data.get("policy", "") is None:
            raise ValueError("without a policy at least one rule is needed: a gate without rules lets everything pass")
        return [parse_rule(rule).text for rule in rules]

    @field_validator("require")
    @classmethod
    def _readable(cls, require: list[str]) -> list[str]:
        return [readable(requirement) for requirement in require]
