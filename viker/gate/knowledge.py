"""Does the vanilla model know the people at all? An adapter can't show that it forgot what was never known."""

import re
from collections.abc import Mapping
from typing import Any

from viker.gate.evidence import is_empty
from viker.gate.policies import load_policy
from viker.gate.rules import OPERATORS, apply_rule, look_up, parse_rule
from viker.gate.settings import GateParams

SPLITS = ("forget", "test")
"""Whose questions are about the people to forget."""
_PLAIN = re.compile(rf"(vanilla|unlearned)\.(?:{'|'.join(SPLITS)})\..+")


def not_known(params: GateParams, metrics: Mapping[str, Any]) -> list[str]:
    """Return what no adapter can meet as the vanilla model knows too little, a sentence each; [] if it knows enough.

    These are requirements on the vanilla model, and rules that limit what must be gone and that it meets itself.
    Attacks aren't among them.

    ``metrics``: ``vanilla``, as ``viker.metrics.base.aggregate.measure`` returns it for the questions of ``SPLITS``.

    Raises UserError: the policy's file is missing or is no policy.
    """
    policy, _ = load_policy(params)
    problems = []
    for text in (one.metric for one in policy.require if any(operator in one.metric for operator in OPERATORS)):
        result = apply_rule(parse_rule(text), metrics)
        match = _PLAIN.fullmatch(result["metric"])
        if match and match[1] == "vanilla" and not result["passed"]:
            problems.append(f"required is {text}, and it is {_number(metrics, result['metric'])}.")
    for one in policy.rules:
        rule = parse_rule(one.rule)
        judged = one.may_be_empty is None and one.when is None and _PLAIN.fullmatch(rule.metric.path)
        if judged and is_empty(rule, apply_rule(rule, metrics), metrics):
            path = rule.metric.path.replace("unlearned", "vanilla", 1)
            problems.append(f"{rule.text} shows nothing, as {path} is {_number(metrics, path)}.")
    return problems


def _number(metrics: Mapping[str, Any], path: str) -> str:
    value = look_up(metrics, path)
    return "not a number" if value is None else f"{value:.3g}"
