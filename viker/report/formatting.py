"""How the report writes numbers: as text with their intervals, or as not measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viker.gate.rules import BOUNDS, Term, finite, look_up, value_of

MISSING = "–"
ABSENT = "not measured"


@dataclass(frozen=True)
class Cell:
    """A number as text, and its interval as text or ""."""

    value: str
    interval: str = ""


def cell(metrics: Mapping[str, Any], path: str, digits: int = 2) -> str:
    """Return the number at a dotted path with ``digits`` decimals; an en dash if there is none."""
    return number(look_up(metrics, path), digits)


def number(value: float | None, digits: int = 2) -> str:
    """Return ``value`` with ``digits`` decimals, from 1,000 on with three significant figures; an en dash for None."""
    if value is None:
        return MISSING
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.3g}"


def figure(value: Any) -> str:
    """Return a rule's value or threshold with four significant figures, so that the two don't round to the same."""
    known = finite(value)
    return MISSING if known is None else f"{known:.4g}"


def interval(metrics: Mapping[str, Any], path: str) -> tuple[float, float] | None:
    """Return the 95 % interval of the metric at ``path``, which is in the same block under ``intervals``; or None."""
    low, high = (value_of(metrics, Term(path, bound)) for bound in BOUNDS)
    return None if low is None or high is None else (low, high)


def measured(metrics: Mapping[str, Any], path: str) -> Cell:
    """Return the number at a dotted path with its interval; "not measured" if there is none."""
    value, bounds = look_up(metrics, path), interval(metrics, path)
    if value is None or bounds is None:
        return Cell(ABSENT if value is None else number(value))
    return Cell(number(value), f"{number(bounds[0])}{' to ' if bounds[0] < 0 else '–'}{number(bounds[1])}")


def words(name: str) -> str:
    """Return a name of the metrics as words."""
    return name.replace("_", " ")
