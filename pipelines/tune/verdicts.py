"""Which finalists the gate is to see, what it says of them, and which rule none of them meets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.tune.study import Trial, complete
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
    return Finalist(trial, result["gate"], kept, vanilla, seconds)


def next_finalist(order: Sequence[Trial], judged: Sequence[Finalist]) -> Trial | None:
    """Return the first trial of ``order`` that may still be better than those judged; None if there is none.

    After one that passed, only trials that diverged less may keep more. After one that forgot too little, those that
    forgot more may pass; after one that kept too little, those that diverged less; after both, one that did better in
    either. A requirement on the data or the questions fails whatever was trained.
    """
    probes = {trial.number: probe for trial, probe in complete(order)}
    hopeful = [trial for trial in order if trial.number not in {one.trial.number for one in judged}]
    for one in judged:
        forget, retain = probes[one.trial.number].forget, probes[one.trial.number].retain
        too_little, too_much = (any(keeps(rule) is side for rule in one.failed) for side in (False, True))
        hopeful = [
            trial
            for trial in hopeful
            if (probes[trial.number].retain < retain and (one.passed or too_much))
            or (probes[trial.number].forget < forget and too_little)
        ]
    return next(iter(hopeful), None)


def keeps(rule: Mapping[str, Any]) -> bool | None:
    """Return whether a rule protects what is to be kept, or from forgetting too much; False: from too little.

    None for one that no training changes: a requirement on the data, the vanilla model or the questions.
    """
    metric = str(rule["metric"])
    if not metric.startswith("unlearned.") or metric.endswith(("samples", "people", "measurable_rate", "_people_rate")):
        return None
    too_far = metric.endswith(("gibberish_rate", "refusal_rate")) or (
        metric.startswith("unlearned.membership.") and str(rule["operator"]).startswith(">")
    )
    return too_far or metric.startswith(("unlearned.retain.", "unlearned.real.", "unlearned.fluency."))


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
