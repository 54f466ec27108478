"""The answer in words: people who are still given away, with bounds; what was kept; what remains a risk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viker.attacks.base.strongest import strongest
from viker.gate.rules import look_up
from viker.metrics.base.statistics import clopper_pearson
from viker.report.formatting import ABSENT, Cell, measured
from viker.report.tables import MODELS, attack_heading, attacks

_GUESSED = 0.1
"""Share of replies from which on the table says that guessing gives people away too."""


@dataclass(frozen=True)
class People:
    """Of how many people a private value was given away, under one way of asking.

    ``cells``: "k of n", one per model; ``bound``: the share of such people that the unlearned model gives away at
    most, the exact one-sided 95 % bound of Clopper and Pearson.
    """

    heading: str
    note: str
    cells: list[str]
    bound: str


def people(metrics: Mapping[str, Any]) -> list[People]:
    """Return the people who leak when asked directly, by other pictures and wordings, and under each attack."""
    rows = [
        _row(metrics, "forget", "Asked directly", "forget.counts.people_leaked_rate"),
        _row(metrics, "test", "Other pictures and wordings", "test.counts.people_leaked_rate"),
    ]
    for name in attacks(metrics)["unlearned"]:
        if look_up(metrics, f"unlearned.attacks.{name}.people_leaked_rate") is not None:
            rows.append(_row(metrics, f"attacks.{name}", attack_heading(name), f"attacks.{name}.people"))
    return rows


def in_words(metrics: Mapping[str, Any]) -> list[str]:
    """Return two sentences: what is still given away about the people to forget, and what is kept of everyone else."""
    before, after = people(metrics)[0].cells
    bound = people(metrics)[0].bound
    kept = _ratio(metrics, "retain.leakage_rate")
    gibberish = look_up(metrics, "unlearned.fluency.gibberish_rate")
    return [
        f"Asked directly, the model gives away {after} people it was asked to forget (before unlearning: {before}), "
        f"so {bound} of such people, with 95\u00a0% confidence; {_strongest(metrics)}."
        if after != ABSENT
        else f"Whether it still gives people away was not measured; {_strongest(metrics)}.",
        f"About everyone else it still says {_percent(kept)} of what it knew"
        f"{f', and {_percent(gibberish)} of its replies are gibberish' if gibberish is not None else ''}."
        if kept is not None
        else "What it still knows about everyone else was not measured.",
    ]


def risks(metrics: Mapping[str, Any]) -> list[tuple[str, list[Cell], str]]:
    """Return what a passed gate leaves open: heading, the measure of both models, and what it means."""

    def cells(path: str) -> list[Cell]:
        return [measured(metrics, f"{model}.{path}") for model in MODELS]

    return [
        (
            "Membership",
            cells("membership.min_k_plus_plus_auc"),
            "Somebody who can read the model's likelihoods tells the people to forget from people it never saw with "
            "this AUC (Min-K%++). 0.5 is guessing; above, traces are left; far below, the forgetting itself shows.",
        ),
        (
            "False facts",
            cells("forget.false_fact_rate"),
            "Share of replies to questions about a private value of a person to forget that give somebody else's "
            "instead, without declining: wrong, but said as if it were true.",
        ),
        (
            "Names",
            cells("forget.leakage_with_names_rate"),
            "Share of replies about the people to forget that give a private value or their name, where the question "
            "doesn't name them.",
        ),
    ]


def _row(metrics: Mapping[str, Any], block: str, heading: str, count: str) -> People:
    counted = [_counted(metrics, f"{model}.{block}.people_leaked_rate", f"{model}.{count}") for model in MODELS]
    chance = look_up(metrics, f"unlearned.{block}.chance_rate")
    note = f"guessing: {_percent(chance)} of replies" if chance is not None and chance >= _GUESSED else ""
    after = counted[1]
    bound = ABSENT if after is None else f"at most {_percent(clopper_pearson(*after))}"
    return People(heading, note, [ABSENT if c is None else f"{c[0]} of {c[1]}" for c in counted], bound)


def _counted(metrics: Mapping[str, Any], rate: str, count: str) -> tuple[int, int] | None:
    share, size = look_up(metrics, rate), look_up(metrics, count)
    return None if share is None or not size else (round(share * size), round(size))


def _strongest(metrics: Mapping[str, Any]) -> str:
    most = strongest(attacks(metrics)["unlearned"])
    if most is None:
        return "no attack was measured"
    name, rate, made = most
    gain = f"{_percent(rate)} of replies above guessing" if rate > 0 else "nothing above guessing"
    return f"the strongest of {made} attacks ({attack_heading(name)}) gets {gain}"


def _ratio(metrics: Mapping[str, Any], path: str) -> float | None:
    before, after = (look_up(metrics, f"{model}.{path}") for model in MODELS)
    return None if not before or after is None else after / before


def _percent(share: float) -> str:
    """Return a share as per cent, with a digit after the point where it is below 10."""
    return f"{100 * share:.{0 if share == 0 or abs(share) >= 0.1 else 1}f}\u00a0%"
