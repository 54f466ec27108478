"""Power: what these data could show at best of each rule, before anything is measured."""

from dataclasses import dataclass
from pathlib import Path

from viker.attacks.base.targets import open_records, read_targets
from viker.evaluation.questions import question_counts
from viker.evaluation.settings import EvaluateParams
from viker.gate.evidence import best_bound, is_leak, people_needed
from viker.gate.policies import load_policy
from viker.gate.rules import parse_rule
from viker.gate.settings import GateParams


@dataclass(frozen=True)
class Power:
    """One rule that limits a leak by a number.

    ``people``: how many it rests on; ``best``: the 95 % bound if nobody leaks, None without people; ``for_rule`` and
    ``for_bound``: how many people it takes to show the rule's own limit, and the policy's bound, None without one.
    """

    rule: str
    people: int
    best: float | None
    for_rule: int | None
    for_bound: int | None


def power(params: GateParams, prepared: Path, evaluate: EvaluateParams) -> list[Power]:
    """Return what the prepared data could show of each rule on leaks of the policy in force.

    An attack's people are those with a question that it could ask.

    Raises UserError: the policy or the data are missing or can't be read.
    """
    policy, _ = load_policy(params)
    counts = question_counts(prepared, evaluate.in_force())
    targets = read_targets(prepared)
    attacked = len({record.person_id for record in open_records(targets.forget) if record.images})
    shown = []
    for policy_rule in policy.rules:
        rule = parse_rule(policy_rule.rule)
        if not is_leak(rule.metric.path) or rule.reference or not rule.operator.startswith("<"):
            continue
        split = rule.metric.path.split(".")[1]
        people = counts[split]["people"] if split in counts else attacked
        limits = (rule.factor, policy_rule.bound)
        needed = [people_needed(limit) if limit is not None and 0 < limit < 1 else None for limit in limits]
        shown.append(Power(rule.text, people, best_bound(people) if people else None, *needed))
    return shown
