"""Which finalists the gate is to see, what it says of them, and which rule none of them meets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.tune.study import Probe, Trial, complete
from viker.core.files import read_json
from viker.gate.rules import look_up

VANILLA, KEPT = "vanilla.retain.leakage_rate", "unlearned.retain.leakage_rate"
"""How much is told about people to retain: what an adapter keeps."""


@dataclass(frozen=True)
class Finalist:
    """A trial that was evaluated in full and judged."""

    trial: Trial
    verdict: dict[str, Any]
    """metrics/gate.json."""
    kept: float | None
    """``KEPT``, of which the vanilla model tells ``vanilla``."""
    vanilla: float | None
    seconds: dict[str, float]
    """Of evaluate and gate."""
    floored: tuple[int, int] = (0, 0)
    """How many private values its loss can't make unlikely, and of how many, see ``viker.training.private_tokens``."""

    @property
    def passed(self) -> bool:
        """Whether the gate passed."""
        return bool(self.verdict["verdict"] == "pass")

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The rules and requirements that it doesn't meet."""
        return [one for one in (*self.verdict["require"], *self.verdict["rules"]) if not one["passed"]]


def finalist(trial: Trial, result: Mapping[str, Any]) -> Finalist:
    """Return the finalist that a trial is, given the result of its ``Sweep``."""
    kept, vanilla = (look_up(result["metrics"], path) for path in (KEPT, VANILLA))
    seconds = {stage: result["seconds"][stage] for stage in ("evaluate", "gate")}
    private = read_json(result["folders"]["unlearn"] / "unlearning/summary.json", "unlearn")["private_tokens"]
    floored = (private["values_kept"], private["values"])
    return Finalist(trial, result["gate"], kept, vanilla, seconds, floored)


def next_finalist(order: Sequence[Trial], judged: Sequence[Finalist]) -> Trial | None:
    """Return the first trial of ``order`` that may still be better than those judged; None if there is none.

    After one that passed, only trials that diverged less may keep more. After one that failed, a trial must do better
    in one of the directions in which that failed, see ``direction``.
    """
    probes = {trial.number: probe for trial, probe in complete(order)}
    hopeful = [trial for trial in order if trial.number not in {one.trial.number for one in judged}]
    for one in judged:
        before = probes[one.trial.number]
        wanted = {"keep more"} if one.passed else {direction(rule) for rule in one.failed}
        hopeful = [trial for trial in hopeful if wanted & _differs(before, probes[trial.number])]
    return next(iter(hopeful), None)


def _differs(before: Probe, after: Probe) -> set[str]:
    """Return the directions in which one trial goes further than another, by their probes."""
    differences = {
        "forget more": after.forget < before.forget,
        "forget less": after.forget > before.forget,
        "keep more": after.retain < before.retain,
        "keep more elsewhere": True,  # no probe says
    }
    return {name for name, holds in differences.items() if holds}


_KEPT = ("unlearned.retain.", "unlearned.fluency.", "unlearned.attacks.identity_agnostic.agreement.")
_KEPT_ELSEWHERE = ("unlearned.real.", "unlearned.general_ability.")
"""How the metrics of what is to stay begin; the second, where the probes don't look."""


def direction(rule: Mapping[str, Any]) -> str | None:
    """Return what meets a failed rule: to forget more or less, or to keep more, of the retained people or elsewhere.

    None for one that the probes say nothing about: a requirement on the data, the vanilla model or the questions, the
    floors of private tokens, people of earlier requests.
    """
    metric = str(rule["metric"])
    if not metric.startswith("unlearned.") or metric.endswith(("samples", "people", "measurable_rate", "_people_rate")):
        return None
    if metric.startswith(_KEPT):
        return "keep more"
    if metric.startswith(_KEPT_ELSEWHERE):
        return "keep more elsewhere"
    too_unlikely = metric.startswith("unlearned.membership.") and str(rule["operator"]).startswith(">")
    return "forget less" if too_unlikely or metric.endswith("gibberish_rate") else "forget more"


def chosen(finalists: Sequence[Finalist]) -> Finalist | None:
    """Return the finalist that passed and keeps most, the least changed of equals; None if none passed."""

    def key(one: Finalist) -> tuple[float, float]:
        return -(one.kept or 0.0), one.trial.probe.retain if one.trial.probe else 0.0

    return min((one for one in finalists if one.passed), key=key, default=None)


def unmet(finalists: Sequence[Finalist]) -> list[dict[str, Any]]:
    """Return the rules that no finalist meets, each with the nearest ``value``, its ``threshold``, and by how much it
    is ``missed``; if each is met by one of them, those of the finalist that misses the fewest. ``by_all`` says which.
    """
    if not finalists:
        return []
    failed = [{rule["rule"]: rule for rule in one.failed} for one in finalists]
    everywhere = set.intersection(*map(set, failed))
    fewest = min(failed, key=len)
    rows = []
    for text in (text for text in fewest if not everywhere or text in everywhere):
        nearest = min((one[text] for one in failed if text in one), key=_missed)
        row = {name: nearest[name] for name in ("rule", "value", "threshold", "reason", "protects")}
        missed = _missed(nearest)
        rows.append(row | {"missed": None if missed == float("inf") else missed, "by_all": text in everywhere})
    return rows


def _missed(rule: Mapping[str, Any]) -> float:
    """Return how far a value is from its threshold; infinite where there is none of either."""
    if rule["value"] is None or rule["threshold"] is None:
        return float("inf")
    return abs(float(rule["value"]) - float(rule["threshold"]))
