"""Is a verdict about this adapter, these data and this policy, or left over from others? Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viker.evidence.seal import check_seal
from viker.gate.settings import GateParams


@dataclass(frozen=True)
class Policy:
    """What the gate was to hold the metrics to."""

    gate: GateParams
    sha256: str | None = None
    """Of the shipped policy that ``gate`` names; None where it isn't at hand: then the name alone counts."""


def doubts(
    gate: Mapping[str, Any], metrics: Mapping[str, Any], found: Mapping[str, str | None], policy: Policy
) -> list[str]:
    """Return why the verdict doesn't count for what was found, a clause each; nothing where it does.

    Args:
        gate: metrics/gate.json; empty where there is none.
        metrics: metrics/evaluate.json.
        found: SHA-256 of what lies there, by the names that the gate uses (``adapter``, ``model``, ``data``).
        policy: what it must have been judged by.
    """
    if not gate:
        return ["it has no verdict: there is no gate record with its run"]
    if not check_seal(gate):
        return ["its gate record was edited after the gate wrote it"]
    if not check_seal(metrics):
        return ["its metrics were edited after they were measured"]
    wrong = []
    inputs = gate.get("inputs") or {}
    if inputs.get("metrics") != metrics["digest"]:
        wrong.append("its verdict is stale: it was measured again after the gate")
    for name, digest in found.items():
        if digest is None:
            wrong.append(f"its {name} is not where it was stored")
        elif inputs.get(name) != digest:
            wrong.append(
                f"its verdict is foreign: it is about another {name} (SHA-256 {_short(inputs.get(name))}, this is "
                f"{_short(digest)})"
            )
    return wrong + _other_policy(gate, policy)


def failures(gate: Mapping[str, Any]) -> list[str]:
    """Return which rules and requirements failed, by the results themselves rather than by the word of the verdict."""
    results = [*gate.get("rules", ()), *gate.get("require", ())]
    failed = [str(one.get("reason")) for one in results if one.get("passed") is not True]
    if failed or (results and gate.get("verdict") == "pass"):
        return failed
    return [f"The verdict is '{gate.get('verdict')}'."]


def _other_policy(gate: Mapping[str, Any], policy: Policy) -> list[str]:
    own = {"rules": policy.gate.rules, "require": policy.gate.require}
    if gate.get("policy") != policy.gate.policy:
        return [
            f"its verdict is stale: it was judged by {_named(gate.get('policy'))}, params.yaml now says "
            f"{_named(policy.gate.policy)}"
        ]
    if policy.sha256 is not None and gate.get("policy_sha256") != policy.sha256:
        return [f"its verdict is stale: {_named(policy.gate.policy)} has other rules now"]
    if gate.get("own") != own:
        return ["its verdict is stale: it was judged by other rules than those of 'gate' in params.yaml now"]
    return []


def _named(policy: Any) -> str:
    return f"the policy '{policy}'" if policy else "its own rules alone"


def _short(digest: Any) -> str:
    return f"{digest[:12]}…" if isinstance(digest, str) and digest else "nothing"
