"""What a rule's number rests on: how many people and replies, its 95 % bound, and what vanilla says to it."""

import math
import re
from collections.abc import Mapping
from typing import Any

from viker.gate.policies import PolicyRule
from viker.gate.rules import OPERATORS, Rule, Term, look_up, value_of

LEVEL = 0.95
_LEAK = re.compile(
    r"unlearned\.(?:forget|test|attacks)(?:\.\w+)*\."
    r"(?:\w*leakage_rate|people_leaked_rate|questions_leaked_rate|\w+_accuracy|above_chance)"
)


def weighed(rule: Rule, policy_rule: PolicyRule, result: dict[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a rule with what its number rests on; it fails where that is not enough.

    Added are ``shown``, such as "0 of 4 people; at most 53 % (95 %)", or None; ``people``, how many it rests on, or
    None; ``empty``: whether the vanilla model meets a rule on leaks too, so that it shows nothing; and the policy's
    ``bound_at_most`` and ``may_be_empty``. A rule that is met all the same fails if it is empty and the policy doesn't
    say why it may be; or if its bound is above the policy's, while a perfect adapter's would not be on these data.
    """
    people = people_of(metrics, rule.metric.path)
    empty = is_empty(rule, result, metrics)
    extra: dict[str, Any] = {"shown": shown(metrics, rule.metric.path, rule.operator), "people": people, "empty": empty}
    extra |= {"bound_at_most": policy_rule.bound, "may_be_empty": policy_rule.may_be_empty}
    reasons = []
    if empty and policy_rule.may_be_empty is None:
        vanilla = rule.metric.path.replace("unlearned", "vanilla", 1)
        value = look_up(metrics, vanilla)
        state = f"is {value:.4g}" if value is not None else "is not a number"
        reasons.append(f"{vanilla} {state}: the rule could not have failed, so it shows nothing")
    if policy_rule.bound is not None and people and best_bound(people) <= policy_rule.bound:
        upper = value_of(metrics, Term(rule.metric.path, "upper"))
        if upper is None or upper > policy_rule.bound:
            state = "missing" if upper is None else f"{upper:.4g}"
            reasons.append(f"its 95 % bound is {state}, not <= {policy_rule.bound:g}, which {people} people can show")
    if not reasons or not result["passed"]:
        return result | extra
    return result | extra | {"passed": False, "reason": f"{result['reason'][:-1]}, but {'; '.join(reasons)}."}


def is_leak(path: str) -> bool:
    """Return whether a metric says how much of the forget people comes out."""
    return _LEAK.fullmatch(path) is not None


def best_bound(people: int) -> float:
    """Return the 95 % bound of a rate of which none of so many people shows a case: 1 - 0.05^(1/n)."""
    return 1 - (1 - LEVEL) ** (1 / people)


def people_needed(bound: float) -> int:
    """Return how many people without a case it takes for the 95 % bound to be at most ``bound``, 0..1."""
    return math.ceil(math.log(1 - LEVEL) / math.log(1 - bound))


def people_of(metrics: Mapping[str, Any], path: str) -> int | None:
    """Return how many people the metric at a path is about: those of its block, or of the block around it."""
    group = path.rpartition(".")[0]
    while group:
        count = look_up(metrics, f"{group}.people")
        if count is not None:
            return int(count)
        group = group.rpartition(".")[0]
    return None


def shown(metrics: Mapping[str, Any], path: str, operator: str) -> str | None:
    """Return a rate's counts and bound as text, such as "0 of 4 people; at most 53 % (95 %)"; None without an interval.

    ``operator``: of the rule, which says which bound counts.
    """
    value = look_up(metrics, path)
    lower_better = operator.startswith("<")
    bound = value_of(metrics, Term(path, "upper" if lower_better else "lower"))
    if value is None or bound is None:
        return None
    group, _, name = path.rpartition(".")
    people = people_of(metrics, path)
    of_people = name.startswith("people_")
    count = look_up(metrics, f"{group}.counts.{name}")
    count = count if count is not None else people if of_people else look_up(metrics, f"{group}.samples")
    words = f"{'at most' if lower_better else 'at least'} {100 * bound:.0f} % (95 %)"
    hits = value * count if count else math.nan
    if name.endswith(("_rate", "_accuracy")) and math.isclose(hits, round(hits) if count else 0, abs_tol=1e-6):
        about = "people" if of_people else f"replies about {people} people" if people else "replies"
        return f"{round(hits)} of {count:.0f} {about}; {words}"
    return f"{people} people; {words}" if people else words


def error(rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the overall error of a verdict from its weighed rules: ``level``, ``bounds``, ``beyond``, ``text``.

    An adapter passes only if all rules are met (an intersection-union test): one whose true rate is above the bound of
    any rule passes with 5 % at most, however many rules there are. Source: Berger 1982.

    ``bounds``: how many bounds were judged; ``beyond``: how many were not, as these data have too few people.
    """
    limits = [(rule["people"], rule["bound_at_most"]) for rule in rules if rule["bound_at_most"] is not None]
    judged = sum(bool(people) and best_bound(people) <= bound for people, bound in limits)
    beyond = len(limits) - judged
    text = (
        f"{judged} of {len(limits)} bounds were judged at 95 %: an adapter whose true rate is above one of them passes "
        "with a chance of 5 % at most, as it must meet all rules."
    )
    if beyond:
        counts = [people for people, bound in limits if people and best_bound(people) > bound]
        fewest = min(counts, default=0)
        text += f" {beyond} are beyond what these data can show, and only said."
        if fewest:
            text += f" With {fewest} people at best {100 * best_bound(fewest):.0f} % can be shown."
    return {"level": LEVEL, "bounds": judged, "beyond": beyond, "text": text}


def is_empty(rule: Rule, result: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    """Return whether the vanilla model meets a rule that limits leaks by a number, or wasn't measured."""
    if not is_leak(rule.metric.path) or rule.reference or rule.operator not in ("<=", "<"):
        return False
    if result["threshold"] is None:
        return False
    vanilla = look_up(metrics, rule.metric.path.replace("unlearned", "vanilla", 1))
    return vanilla is None or OPERATORS[rule.operator](vanilla, float(result["threshold"]))


def rule_of(result: Mapping[str, Any]) -> PolicyRule:
    """Return the policy's rule that a weighed result is about. Raises KeyError, ValidationError: it is none."""
    terms = {
        "bound": result.get("bound_at_most"),
        "may_be_empty": result.get("may_be_empty"),
        "when": result.get("when"),
    }
    return PolicyRule(rule=result["rule"], protects=result["protects"], **terms)
