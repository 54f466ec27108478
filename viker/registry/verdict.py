"""Does a verdict belong to this adapter, these data and this policy, or is it left over from others?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.evidence.seal import check_seal
from viker.gate.rules import apply_rule, parse_rule
from viker.gate.settings import GateParams


@dataclass(frozen=True)
class Policy:
    """The section gate of params.yaml that verdicts are held to now."""

    gate: GateParams
    sha256: str | None = None
    """Of the policy's file that ``gate`` names; None where it isn't at hand: then the name alone counts."""


def check_verdict(
    gate: Mapping[str, Any], gate_path: Path, metrics: Mapping[str, Any], hashes: Mapping[str, str], policy: Policy
) -> None:
    """Make sure that a verdict is about these metrics and files, by this policy, and follows from its rules.

    The arguments are those of ``doubts``, and the verdict's path for the error.

    Raises:
        UserError: it does not; the message says why.
    """
    problems = doubts(gate, metrics, hashes, policy) or _recounted(gate, metrics)
    if problems:
        raise UserError(
            f"{gate_path} does not belong to these metrics: {'; '.join(problems)}. "
            "Nothing was registered. Run 'viker gate' again, then 'viker register'."
        )


def doubts(
    gate: Mapping[str, Any], metrics: Mapping[str, Any], hashes: Mapping[str, str | None], policy: Policy
) -> list[str]:
    """Return why the verdict doesn't count, one clause per reason; nothing where it does.

    Args:
        gate: metrics/gate.json; empty where there is none.
        metrics: metrics/evaluate.json.
        hashes: the SHA-256 of what is there now, by the names that the gate uses (``adapter``, ``model``, ``data``).
        policy: what the verdict must have been made by.
    """
    if not gate:
        return ["it has no verdict: there is no gate record with its run"]
    if not check_seal(gate):
        return ["its gate record was edited after the gate wrote it"]
    if not check_seal(metrics):
        return ["its metrics were edited after they were measured"]
    reasons = []
    inputs = gate.get("inputs") or {}
    if inputs.get("metrics") != metrics["digest"]:
        reasons.append("its verdict is stale: the metrics were measured again after the gate")
    for name, digest in hashes.items():
        if digest is None:
            reasons.append(f"its {name} is not where it was stored")
        elif inputs.get(name) != digest:
            reasons.append(
                f"its verdict is foreign: it is about another {name} (SHA-256 {short(inputs.get(name))}, this is "
                f"{short(digest)})"
            )
    return reasons + _other_policy(gate, policy)


def failures(gate: Mapping[str, Any]) -> list[str]:
    """Return which rules and requirements failed, going by the results themselves rather than the verdict's word."""
    results = [*gate.get("rules", ()), *gate.get("require", ())]
    failed = [str(result.get("reason")) for result in results if result.get("passed") is not True]
    if failed or (results and gate.get("verdict") == "pass"):
        return failed
    return [f"The verdict is '{gate.get('verdict')}'."]


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


def _recounted(gate: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Return in what way the verdict does not follow from its rules and the metrics."""
    rules, require = ([r for r in gate.get(name) or [] if isinstance(r, dict)] for name in ("rules", "require"))
    for rule in rules:
        result = apply_rule(parse_rule(str(rule.get("rule"))), dict(metrics))
        if any(rule.get(name) != value for name, value in result.items()):
            return [f"of {result['rule']!r} it says: {rule.get('reason')} Now: {result['reason']}"]
    expected = "pass" if rules and all(result.get("passed") is True for result in (*rules, *require)) else "fail"
    if gate.get("verdict") != expected:
        return [f"its verdict is {gate.get('verdict')!r}, its rules say {expected!r}"]
    return []


def _named(policy: Any) -> str:
    return f"the policy '{policy}'" if policy else "its own rules alone"
