"""Is a verdict about these metrics, files and settings, and are both as they were written? What says that it isn't."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viker.core.errors import UserError
from viker.core.files import finite_json
from viker.evidence.seal import check_seal
from viker.evidence.training_summary import KEY, with_training
from viker.gate.integrity import CHECKS
from viker.gate.judge import judge
from viker.gate.policies import load_policy
from viker.gate.settings import GateParams


@dataclass(frozen=True)
class Policy:
    """The section gate of params.yaml that verdicts are held to now."""

    gate: GateParams
    sha256: str | None = None
    """Of the policy's file that ``gate`` names; None where it isn't at hand: then the name alone counts."""


def doubts(
    gate: Mapping[str, Any],
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    hashes: Mapping[str, str | None],
    policy: Policy,
) -> list[str]:
    """Return why the verdict doesn't count, one clause per reason; nothing where it does.

    Args:
        gate: metrics/gate.json; empty where there is none.
        metrics: metrics/evaluate.json.
        training: unlearning/summary.json; empty where there is none.
        hashes: the SHA-256 of what is there now, by the names that the gate uses (``adapter``, ``model``, ``data``).
        policy: what the verdict must have been made by.
    """
    if not gate:
        return ["it has no verdict: there is no gate record with its run"]
    if not check_seal(gate):
        return ["its gate record was edited after the gate wrote it"]
    if not check_seal(metrics):
        return ["its metrics were edited after they were measured"]
    if training and not check_seal(training):
        return ["the summary of its unlearning run was edited"]
    reasons = []
    inputs = gate.get("inputs") or {}
    if inputs.get("metrics") != metrics["digest"]:
        reasons.append("its verdict is stale: the metrics were measured again after the gate")
    of_another = gate.get("verdict") == "pass" and training and training.get("adapter") != inputs.get("adapter")
    if of_another or inputs.get(KEY) != training.get("digest"):
        reasons.append("its verdict is stale: the unlearning run is another than the gate saw")
    for name, digest in hashes.items():
        if digest is None:
            reasons.append(f"its {name} is not where it was stored")
        elif inputs.get(name) != digest:
            reasons.append(
                f"its verdict is foreign: it is about another {name} (SHA-256 {short(inputs.get(name))}, this is "
                f"{short(digest)})"
            )
    return reasons + _other_policy(gate, policy)


def held_to_policy(
    gate: Mapping[str, Any],
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    hashes: Mapping[str, str | None],
    policy: Policy,
) -> list[str]:
    """Return ``doubts``, or where there are none in what way the results are not those of the policy in force.

    Before anything is registered or promoted: the metrics are judged again.
    """
    return doubts(gate, metrics, training, hashes, policy) or _other_rules(
        gate, with_training(metrics, training), policy
    )


def for_release(policy: Policy) -> bool:
    """Return whether an adapter that passes may become the champion: the policy's file says ``release: true``."""
    try:
        return load_policy(policy.gate)[0].release
    except (UserError, ValueError):
        return False


def short(digest: Any) -> str:
    """Return the first characters of a hash, for messages."""
    return f"{digest[:12]}…" if isinstance(digest, str) and digest else "nothing"


def _other_policy(gate: Mapping[str, Any], policy: Policy) -> list[str]:
    if gate.get("policy") != policy.gate.policy:
        return [
            f"its verdict is stale: it was judged by {_named(gate.get('policy'))}, params.yaml now says "
            f"{_named(policy.gate.policy)}"
        ]
    if policy.sha256 is not None and gate.get("policy_sha256") != policy.sha256:
        return [f"its verdict is stale: {_named(policy.gate.policy)} has other rules now"]
    if gate.get("own") != policy.gate.model_dump(include={"rules", "require"}):
        return ["its verdict is stale: it was judged by other rules than those of the section gate of params.yaml now"]
    return []


def _other_rules(gate: Mapping[str, Any], metrics: Mapping[str, Any], policy: Policy) -> list[str]:
    """Return in what way the results are not those of the policy in force, judged again on the same metrics."""
    try:
        in_force, sha256 = load_policy(policy.gate)
    except (UserError, ValueError) as error:
        return [f"its verdict can't be compared with the policy in force: {str(error).rstrip('.')}"]
    if gate.get("policy_sha256") != sha256:
        return [f"its verdict is stale: {_named(policy.gate.policy)} has other rules now"]
    require = [dict(one) for one in gate.get("require") or [] if isinstance(one, Mapping)]
    checks = [one for one in require if one.get("rule") in CHECKS]
    missing = [text for text in CHECKS if text not in {one["rule"] for one in checks}]
    if missing:
        return [f"its verdict lacks the check '{missing[0]}', and {len(missing) - 1} more of the gate's own"]
    again = finite_json(judge(in_force, metrics, checks))
    for name in ("rules", "require"):
        written = list(gate.get(name) or [])
        for result in again[name]:
            if result not in written:
                named = any(isinstance(one, Mapping) and one.get("rule") == result["rule"] for one in written)
                there = "has another result" if named else "is not among its results"
                return [f"its verdict does not follow from the policy: {result['rule']!r} {there}: {result['reason']}"]
        if len(written) != len(again[name]):
            return ["its verdict has results that are of no rule of the policy"]
    same = gate.get("verdict") == again["verdict"]
    return [] if same else [f"its verdict is {gate.get('verdict')!r}, its rules say {again['verdict']!r}"]


def _named(policy: Any) -> str:
    return f"the policy '{policy}'" if policy else "its own rules alone"
