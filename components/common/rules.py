"""The gate's rules, ``metric.path <= 0.1`` or ``metric.path >= 0.85 * other.path``; never run as code."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_PATH = r"[a-z_]+(?:\.[a-z0-9_]+)+"
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_RULE = re.compile(rf"\s*({_PATH})\s*(<=|>=|<|>)\s*(?:({_NUMBER})\s*(?:\*\s*({_PATH}))?|({_PATH}))\s*")


@dataclass(frozen=True)
class Rule:
    """One rule: the metric compared with ``factor``, or with ``factor`` times the metric ``reference``."""

    text: str
    metric: str
    operator: str
    factor: float
    reference: str | None


def parse_rule(text: str) -> Rule:
    """Parse a rule.

    Raises:
        ValueError: it is not a rule; the message says what one looks like.
    """
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(
            f"not a rule: {text!r}; expected 'metric.path OPERATOR number' or "
            "'metric.path OPERATOR number * other.path', OPERATOR one of <=, >=, <, >"
        )
    metric, symbol, factor, reference, bare = match.groups()
    return Rule(" ".join(text.split()), metric, symbol, float(factor or 1), reference or bare)


def look_up(metrics: Mapping[str, Any], path: str) -> float | None:
    """Return the number at a dotted path; None where it is missing, null, not a number, NaN or infinite."""
    value: Any = metrics
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
