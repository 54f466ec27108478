"""The verdict: every rule of the policy against the measured metrics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.common.files import read_json, write_json
from components.common.params import GateParams
from components.common.rules import OPERATORS, look_up, parse_rule


def run(params: GateParams, metrics: Path, out: Path) -> dict[str, Any]:
    """Judge ``metrics`` (evaluate.json), write the verdict to ``out`` and return it."""
    verdict = judge(params.rules, read_json(metrics, "evaluate"))
    write_json(out, verdict)
    return verdict


def judge(rules: Sequence[str], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdict, ``pass`` only if every rule holds, and each rule with threshold, value and reason."""
    judged = [_judge_rule(rule, metrics) for rule in rules]
    return {"verdict": "pass" if judged and all(rule["passed"] for rule in judged) else "fail", "rules": judged}


def _judge_rule(text: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    rule = parse_rule(text)
    value = look_up(metrics, rule.metric)
    reference = look_up(metrics, rule.reference) if rule.reference else 1.0
    threshold = None if reference is None else rule.factor * reference
    if value is None or threshold is None:
        missing = rule.metric if value is None else rule.reference
        passed, reason = False, f"{missing} was not measured (missing, null or NaN): a missing metric fails."
    else:
        passed = OPERATORS[rule.operator](value, threshold)
        holds = "holds" if passed else "does not hold"
        reason = f"{rule.metric} is {value:.4g}; {rule.operator} {threshold:.4g} {holds}."
    return {
        "rule": text,
        "metric": rule.metric,
        "operator": rule.operator,
        "threshold": threshold,
        "value": value,
        "passed": passed,
        "reason": reason,
    }
