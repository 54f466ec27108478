"""The table of failures for the documentation, and the metrics that the tests judge again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.gate.tree import Tree
from viker.evidence.training_summary import NAME, with_training
from viker.gate.policies import FOLDER, read_policy
from viker.gate.rules import Term, parse_path, parse_rule

MODELS = ("vanilla", "unlearned")
HEAD = ("adapter or metrics", "kind", "verdict", "caught by", "value", "unmet besides")


def row(name: str, kind: str, verdict: Mapping[str, Any], caught_by: str | None) -> tuple[str, ...]:
    """Return the cells of one row; ``caught_by`` is the rule that must catch this failure; None: any."""
    results = [*verdict["require"], *verdict["rules"]]
    unmet = [one for one in results if not one["passed"]]
    catch = next((one for one in unmet if one["rule"] == caught_by or caught_by is None), None)
    besides = len(unmet) - (catch is not None)
    if catch is None:
        return name, kind, str(verdict["verdict"]), "–", "–", str(besides)
    rule = f"`{catch['rule']}`" if catch["metric"] else str(catch["rule"])
    return name, kind, str(verdict["verdict"]), rule, _figure(catch["value"]), str(besides)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEAD, ("---",) * len(HEAD), *rows))


def terms(text: str) -> list[Term]:
    """Return the metrics that a rule, or a requirement, looks at."""
    if not set(text) & set("<>"):
        return [Term(parse_path(text))]
    rule = parse_rule(text)
    return [rule.metric, *([rule.reference] if rule.reference else [])]


def judged_on(tree: Tree) -> dict[str, Any]:
    """Return the part of the metrics that any shipped policy looks at, in the same nesting."""
    measured, trained = (
        json.loads(path.read_text(encoding="utf-8")) for path in (tree.metrics, tree.unlearning / NAME)
    )
    metrics = with_training(measured, trained)
    part: dict[str, Any] = {}
    for policy in (read_policy(path) for path in sorted(FOLDER.glob("*.yaml"))):
        for text in (*(one.rule for one in policy.rules), *(one.metric for one in policy.require)):
            for term in terms(text):
                first, _, rest = term.path.partition(".")
                group, _, name = rest.rpartition(".")
                for model in dict.fromkeys((first, *MODELS) if first in MODELS else (first,)):
                    for below in (rest, f"{group}.intervals.{name}", f"{group}.counts.{name}", f"{group}.people"):
                        _copy([model, *below.split(".")], metrics, part)
    return part


def _copy(parts: Sequence[str], source: Any, target: dict[str, Any]) -> None:
    first, *rest = parts
    if not isinstance(source, Mapping) or first not in source:
        return
    if rest:
        _copy(rest, source[first], target.setdefault(first, {}))
    else:
        target[first] = source[first]


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}"
