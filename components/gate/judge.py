"""The verdict on a set of metrics; pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from components.common.rules import OPERATORS, Rule, look_up, parse_rule


def judge(rules: Sequence[str], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdict: "pass" where every rule passes, else "fail", and how each rule came out.

    Args:
        rules: as components.common.rules reads them; at least one.
        metrics: nested mappings of numbers, as evaluate writes them.

    Returns:
        ``verdict``, and for each of ``rules`` in order: ``rule``, ``metric``, ``operator``, ``threshold`` (the
        number after multiplying by the reference metric; None where that is no number), ``value`` (None likewise),
        ``passed`` and ``reason``, a sentence. A metric or threshold that is no finite number fails its rule.

    Raises:
        ValueError: a rule can't be read, or there is none.
    """
    if not rules:
        raise ValueError("no rules: a gate without rules would let everything pass")
    results = [_apply(parse_rule(text), metrics) for text in rules]
    return {"verdict": "pass" if all(result["passed"] for result in results) else "fail", "rules": results}


def _apply(rule: Rule, metrics: Mapping[str, Any]) -> dict[str, Any]:
    value = look_up(metrics, rule.metric)
    threshold = _threshold(rule, metrics)
    passed = value is not None and threshold is not None and OPERATORS[rule.operator](value, threshold)
    return {
        "rule": rule.text,
        "metric": rule.metric,
        "operator": rule.operator,
        "threshold": threshold,
        "value": value,
        "passed": passed,
        "reason": _reason(rule, value, threshold, passed, metrics),
    }


def _threshold(rule: Rule, metrics: Mapping[str, Any]) -> float | None:
    reference = look_up(metrics, rule.reference) if rule.reference else 1.0
    threshold = math.nan if reference is None else rule.factor * reference
    return threshold if math.isfinite(threshold) else None


def _reason(rule: Rule, value: float | None, threshold: float | None, passed: bool, metrics: Mapping[str, Any]) -> str:
    if value is None:
        return f"{rule.metric} {_what_is_wrong(metrics, rule.metric)}, so the rule fails."
    if threshold is None and rule.reference and look_up(metrics, rule.reference) is None:
        return f"{rule.reference} {_what_is_wrong(metrics, rule.reference)}, so the rule fails."
    if threshold is None:
        return "The threshold is not a finite number, so the rule fails."
    source = f" ({rule.factor:g} * {rule.reference})" if rule.reference else ""
    return f"{rule.metric} is {value:.4g}, {'' if passed else 'not '}{rule.operator} {threshold:.4g}{source}."


def _what_is_wrong(metrics: Mapping[str, Any], path: str) -> str:
    found: Any = metrics
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return "is missing from the metrics"
        found = found[part]
    if found is None:
        return "is null in the metrics"
    if isinstance(found, float):
        return f"is {found} in the metrics"
    return f"is no number in the metrics but {type(found).__name__}"
