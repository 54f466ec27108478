"""The verdict on a set of metrics; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from viker.gate.evidence import error, weighed
from viker.gate.policies import Policy, PolicyRule
from viker.gate.rules import OPERATORS, Term, apply_rule, look_up, parse_path, parse_rule, what_is_wrong

Result = dict[str, Any]


def judge(policy: Policy, metrics: Mapping[str, Any], checks: Sequence[Result]) -> dict[str, Any]:
    """Return the verdict: "pass" if every rule and every requirement is met, else "fail", and the result of each.

    ``metrics``: with the unlearning run's summary, see ``viker.gate.training.with_training``. ``checks``, results about
    the metrics themselves (``viker.gate.integrity``, ``recount``, ``training``), count as requirements.

    Returns:
        ``verdict``; ``rules``, each as ``viker.gate.rules.apply_rule`` returns it, with what it rests on
        (``viker.gate.evidence.weighed``) and ``protects``, what the rule protects from; ``require``, in the same shape,
        the checks first. A required metric is met by a finite number. ``error``: see ``viker.gate.evidence.error``.

    Raises ValueError: there is no rule.
    """
    if not policy.rules:
        raise ValueError("no rules: a gate without rules would let everything pass")
    rules = [_held_to(rule, metrics) for rule in policy.rules]
    require = [*checks, *(_present(one.metric, metrics) | {"protects": one.protects} for one in policy.require)]
    met = all(result["passed"] for result in (*rules, *require))
    return {"verdict": "pass" if met else "fail", "rules": rules, "require": require, "error": error(rules)}


def _held_to(policy_rule: PolicyRule, metrics: Mapping[str, Any]) -> Result:
    rule = parse_rule(policy_rule.rule)
    result = weighed(rule, policy_rule, apply_rule(rule, metrics), metrics) | {"protects": policy_rule.protects}
    if policy_rule.when is not None:
        condition = apply_rule(parse_rule(policy_rule.when), metrics)
        result |= {"when": policy_rule.when}
        if condition["value"] is not None and not condition["passed"]:  # a missing number is no excuse
            return result | {"passed": True, "reason": f"Not judged: {condition['reason']}"}
    return result


def _present(text: str, metrics: Mapping[str, Any]) -> Result:
    """Hold metrics to one requirement: a rule, or the path of a metric, which must be a number."""
    if any(operator in text for operator in OPERATORS):
        return apply_rule(parse_rule(text), metrics)
    path = parse_path(text)
    value = look_up(metrics, path)
    state = what_is_wrong(metrics, Term(path)) if value is None else f"is there: {value:.4g}"
    return requirement(path, value is not None, f"{path} {state}.", metric=path, value=value)


def requirement(text: str, passed: bool, reason: str, **fields: Any) -> Result:
    """Return a result in the shape of a rule's that compares no numbers; ``fields`` are added to it."""
    empty = dict.fromkeys(("metric", "bound", "operator", "threshold", "value"))
    return {"rule": text, **empty, "passed": passed, "reason": reason, **fields}


def recounted(text: str, problems: Sequence[str], passed: str, protects: str, again: str = "evaluate") -> Result:
    """Return whether a recount has no problem; ``passed`` is the reason then, and else the first three problems.

    ``again``: the stage to run again.
    """
    more = f"; {len(problems) - 3} more" if len(problems) > 3 else ""
    reason = f"{'; '.join(problems[:3])}{more}. Run 'viker {again}' again."
    return requirement(text, not problems, reason if problems else passed, protects=protects)
