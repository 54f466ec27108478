"""The gate's rules in words."""

from collections.abc import Mapping
from typing import Any

from viker.gate.rules import Term, parse_rule
from viker.metrics.base.catalogue import all_metrics
from viker.report.formatting import figure, words
from viker.report.tables import attack_heading

_OPERATORS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above"}
_ABOUT = {
    "forget": "people to forget",
    "test": "their other pictures and wordings",
    "retain": "everyone else",
    "real": "public figures",
    "fluency": "all replies",
    "membership": "people to forget",
    "earlier": "people of earlier requests",
    "general_ability": "general ability",
}
_NAMES = {
    "leakage_rate": "Leakage",
    "above_chance": "Leakage above guessing",
    "people_leaked_rate": "People leaked",
    "samples": "Number of questions",
    "people": "Number of people",
    "seen": "What anybody sees",
    "known": "Common knowledge",
}


def rule_in_words(result: Mapping[str, Any]) -> str:
    """Return what a rule or requirement of metrics/gate.json demands, without the number that it was held to.

    Such as "Leakage, people to forget: at most 0.1". A result that compares nothing is a sentence already, or the path
    of a metric that has to be there.
    """
    text = str(result.get("rule"))
    try:
        rule = parse_rule(text)
    except ValueError:
        return f"{_term(Term(text))}: measured" if result.get("metric") else text[:1].upper() + text[1:]
    limit = figure(rule.factor)
    if rule.reference:
        same = rule.reference.path.partition(".")[2] == rule.metric.path.partition(".")[2]
        of = "the vanilla model's" if same else _term(rule.reference)
        limit = of if rule.factor == 1 else f"{figure(100 * rule.factor)} % of {of}"
    return f"{_term(rule.metric)}: {_OPERATORS[rule.operator]} {limit}"


def _term(term: Term) -> str:
    model, *groups, name = term.path.split(".")
    headings = {metric.name: metric.heading for metric in all_metrics()}
    text = _NAMES.get(name) or headings.get(name) or words(name).capitalize()
    if groups[:1] == ["attacks"] and len(groups) > 1:
        about = ["attack " + attack_heading(groups[1]).lower(), *map(words, groups[2:])]
    else:
        about = [_ABOUT.get(group, words(group)) for group in ([model] if model == "earlier" else groups)]
    about += ["vanilla model"] if model == "vanilla" else []
    bound = f"{term.bound} 95 % bound" if term.bound else ""
    return ", ".join(filter(None, (text, *about, bound)))
