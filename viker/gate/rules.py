"""The gate's rules: parsed and applied, never run as code.

``metric.path <= 0.1``, ``metric.path >= 0.85 * other.path``; ``lower(metric.path)`` and ``upper(metric.path)`` are the
bounds of the metric's 95 % interval: that of ``a.b.m`` is at ``a.b.intervals.m``.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Compare = Callable[[float, float], bool]
OPERATORS: dict[str, Compare] = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
BOUNDS = {"lower": 0, "upper": 1}
"""Index of each bound in an interval."""
_PATH = r"[a-z_]+(?:\.[a-z0-9_]+)+"
_TERM = rf"(?:(?:lower|upper)\(\s*{_PATH}\s*\)|{_PATH})"
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_RULE = re.compile(
    rf"\s*(?P<metric>{_TERM})\s*(?P<operator><=|>=|<|>)\s*"
    rf"(?:(?P<factor>{_NUMBER})\s*\*\s*(?P<of>{_TERM})|(?P<bare>{_TERM})|(?P<number>-?{_NUMBER}))\s*"
)


@dataclass(frozen=True)
class Term:
    """A metric's path, and which bound of its interval is meant; None means the value."""

    path: str
    bound: str | None = None

    def __str__(self) -> str:
        """Return it as it is written in a rule."""
        return f"{self.bound}({self.path})" if self.bound else self.path


@dataclass(frozen=True)
class Rule:
    """One rule: the metric compared with ``factor``, or with ``factor`` times the metric ``reference``."""

    text: str
    metric: Term
    operator: str
    factor: float
    reference: Term | None


def parse_rule(text: str) -> Rule:
    """Parse a rule. Raises ValueError: it is not a rule; the message says what a rule looks like."""
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(
            f"not a rule: {text!r}; expected 'metric.path OPERATOR number' or "
            "'metric.path OPERATOR number * other.path', OPERATOR one of <=, >=, <, >; in place of a path also "
            "lower(metric.path) or upper(metric.path), the bounds of its interval"
        )
    reference = match["of"] or match["bare"]
    factor, times = float(match["factor"] or match["number"] or 1), _term(reference) if reference else None
    return Rule(" ".join(text.split()), _term(match["metric"]), match["operator"], factor, times)


def parse_path(text: str) -> str:
    """Return the path of a metric. Raises ValueError: it is not a path."""
    if not re.fullmatch(_PATH, text.strip()):
        raise ValueError(f"not the path of a metric: {text!r}; expected names joined by dots, such as a.b.c")
    return text.strip()


def readable(text: str) -> str:
    """Return a requirement, a rule or the path of a metric that must be there, in its normal form.

    Raises ValueError: it is neither.
    """
    return parse_rule(text).text if set(text) & set("<>") else parse_path(text)


def apply_rule(rule: Rule, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Hold metrics to one rule.

    Returns:
        ``rule``, ``metric`` (its path), ``bound`` (lower, upper or None), ``operator``, ``threshold`` (the number
        after multiplying by the reference metric; None if that is not a number), ``value`` (None likewise),
        ``passed`` and ``reason``, a sentence. A value or threshold that is not a finite number fails the rule.
    """
    value = value_of(metrics, rule.metric)
    reference = value_of(metrics, rule.reference) if rule.reference else 1.0
    threshold = math.nan if reference is None else rule.factor * reference
    compared = math.isfinite(threshold)
    passed = value is not None and compared and OPERATORS[rule.operator](value, threshold)
    return {
        "rule": rule.text,
        "metric": rule.metric.path,
        "bound": rule.metric.bound,
        "operator": rule.operator,
        "threshold": threshold if compared else None,
        "value": value,
        "passed": passed,
        "reason": _reason(rule, value, reference, threshold, passed, metrics),
    }


def value_of(metrics: Mapping[str, Any], term: Term) -> float | None:
    """Return the number that a term stands for; None if it is not finite, or the interval is not one."""
    if term.bound is None:
        return look_up(metrics, term.path)
    group, _, name = term.path.rpartition(".")
    interval = _find(metrics, f"{group}.intervals.{name}")
    if not isinstance(interval, list | tuple) or len(interval) != len(BOUNDS):
        return None
    ends = [finite(end) for end in interval]
    if ends[0] is None or ends[1] is None or ends[0] > ends[1]:
        return None
    return ends[BOUNDS[term.bound]]


def look_up(metrics: Mapping[str, Any], path: str) -> float | None:
    """Return the number at a dotted path; None where it is missing, null, not a number, NaN or infinite."""
    return finite(_find(metrics, path))


def has(metrics: Mapping[str, Any], path: str) -> bool:
    """Return whether there is anything, even null, at a dotted path."""
    return _find(metrics, path) is not _MISSING


def finite(value: Any) -> float | None:
    """Return ``value`` if it is a finite number, else None; true and false are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def what_is_wrong(metrics: Mapping[str, Any], term: Term) -> str:
    """Return the predicate of a sentence about a metric for which there is no number."""
    item = _find(metrics, term.path)
    if item is _MISSING:
        return "is missing from the metrics"
    if term.bound and finite(item) is not None:
        return "has no interval in the metrics"
    if item is None:
        return "is null in the metrics"
    if isinstance(item, float):
        return f"is {item} in the metrics"
    return f"is not a number in the metrics but {type(item).__name__}"


def _reason(
    rule: Rule, value: float | None, reference: float | None, threshold: float, passed: bool, metrics: Mapping[str, Any]
) -> str:
    if value is None:
        return f"{rule.metric} {what_is_wrong(metrics, rule.metric)}, so the rule fails."
    if rule.reference and reference is None:
        return f"{rule.reference} {what_is_wrong(metrics, rule.reference)}, so the rule fails."
    if not math.isfinite(threshold):
        return "The threshold is not a finite number, so the rule fails."
    source = f" ({rule.factor:g} * {rule.reference})" if rule.reference else ""
    return f"{rule.metric} is {value:.4g}, {'' if passed else 'not '}{rule.operator} {threshold:.4g}{source}."


def _term(text: str) -> Term:
    bound, bracket, path = text.partition("(")
    return Term(path.strip(" )"), bound) if bracket else Term(text)


_MISSING = object()


def _find(metrics: Any, path: str) -> Any:
    item: Any = metrics
    for part in path.split("."):
        if not isinstance(item, Mapping) or part not in item:
            return _MISSING
        item = item[part]
    return item
