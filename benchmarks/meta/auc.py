"""How well each metric and attack tells the two pools apart, and the table of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.meta.measure import CONDITIONS
from viker.attacks.base.attack import load_attacks
from viker.gate.policies import FOLDER, read_policy
from viker.gate.rules import parse_rule
from viker.metrics.base.catalogue import metrics_of
from viker.metrics.base.metric import FORGOTTEN
from viker.metrics.membership import auc

LEAST = 0.8
"""A metric below that judges nothing in the policy default."""
PLACES = ("forget.", "test.", "membership.", "attacks.")
HEAD = ("metric or attack", "knowing", "never knew", *(f"AUC {condition}" for condition in CONDITIONS), "judged by")


@dataclass(frozen=True)
class Judged:
    """One number in metrics/evaluate.json, and the policies that judge it, on the side of what must be gone."""

    path: str
    falls: bool
    """Whether lower is better: so the knowing models should have the higher numbers."""
    policies: tuple[str, ...] = ()


def numbers_of_knowledge() -> list[Judged]:
    """Return what the policies judge of what must be gone, and then every other metric and attack that measures it."""
    found = {one.path: one for one in judged_paths()}
    metrics = [f"forget.{metric.name}" for metric in metrics_of("split") if metric.better == FORGOTTEN]
    membership = [f"membership.{metric.name}" for metric in metrics_of("membership")]
    attacks = [
        f"attacks.{name}.leakage_rate"
        for name in load_attacks()
        if not any(path.startswith(f"attacks.{name}.") for path in found)
    ]
    others = [Judged(path, falls=True) for path in (*metrics, *membership, *attacks) if path not in found]
    compared = [Judged(metric.name, metric.better.forget == "lower") for metric in metrics_of("run")]
    return [*found.values(), *others, *compared]


def judged_paths() -> list[Judged]:
    """Return what the policies ``default`` and ``strict`` judge of what must be gone, in the order of their rules."""
    found: dict[str, Judged] = {}
    for policy in ("default", "strict"):
        for rule in (parse_rule(one.rule) for one in read_policy(FOLDER / f"{policy}.yaml").rules):
            model, _, path = rule.metric.path.partition(".")
            falls = rule.operator.startswith("<")
            if model != "unlearned" or not path.startswith(PLACES) or not (falls or path.endswith("p_value")):
                continue
            if path.endswith("gibberish_rate"):
                continue  # of how the model speaks, not of what it knows
            before = found.get(path, Judged(path, falls))
            found[path] = Judged(path, before.falls, tuple(dict.fromkeys((*before.policies, policy))))
    return list(found.values())


def separation(knowing: Sequence[float], never: Sequence[float], falls: bool) -> float | None:
    """Return the chance that a knowing model has the worse number, 0..1, ties half; None where a pool has no number."""
    if not knowing or not never:
        return None
    found = auc(knowing, never)
    return found if falls else 1 - found


def evaluated(measured: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """Return a row per number of knowledge: its values in both pools, and the AUC under each condition.

    ``measured``: by the member's name, by condition, by path.
    """
    rows = []
    for one in numbers_of_knowledge():
        sides = {condition: _sides(measured, condition, one.path) for condition in CONDITIONS}
        aucs = {condition: separation(*pair, one.falls) for condition, pair in sides.items()}
        knowing, never = sides[CONDITIONS[0]]
        rows.append({"path": one.path, "policies": one.policies, "knowing": knowing, "never": never, "auc": aucs})
    return rows


def _sides(
    measured: Mapping[str, Mapping[str, Mapping[str, float]]], condition: str, path: str
) -> tuple[list[float], list[float]]:
    """Return the numbers of the knowing models, and of those that never knew."""
    found = {name: of[condition][path] for name, of in measured.items() if path in of[condition]}
    knowing, never = ([v for name, v in found.items() if name.startswith(pool)] for pool in ("knowing", "never"))
    return knowing, never


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEAD, ("---",) * len(HEAD)]
    for row in rows:
        aucs = (row["auc"][condition] for condition in CONDITIONS)
        cells = (f"`{row['path']}`", _range(row["knowing"]), _range(row["never"]), *map(_figure, aucs))
        lines.append((*cells, ", ".join(row["policies"]) or "–"))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}" if values else "–"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
