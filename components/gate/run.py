"""Read the metrics, hold them against the files and the policy, write the verdict."""

from pathlib import Path
from typing import Any

from components.params import Params
from viker.core.files import read_json, write_json
from viker.evidence.seal import hash_inputs, params_digest, seal
from viker.gate.evidence_checks import check_evidence
from viker.gate.judge import judge
from viker.gate.policies import load_policy
from viker.gate.recount import recount
from viker.gate.recount_attacks import recount_attacks


def run(
    params: Params,
    prepared: Path,
    vanilla: Path,
    adapter: Path,
    predictions: Path,
    attacks: Path,
    metrics: Path,
    out: Path,
) -> dict[str, Any]:
    """Write the verdict on ``metrics`` to ``out`` and return it.

    It is what ``judge`` returns, with ``policy`` and ``policy_sha256`` (None without one), ``own`` (the rules of
    params.yaml and what it requires), ``inputs`` (the SHA-256 of what lies here, and the metrics' digest) and the
    ``digest`` of it all.

    Raises:
        UserError: the metrics, or what they were measured on, are missing or can't be read.
    """
    measured = read_json(metrics, "evaluate")
    measured = measured if isinstance(measured, dict) else {}
    found = hash_inputs(adapter, vanilla, prepared, predictions, attacks)
    found["params"] = params_digest(params.seed, params.evaluate.model_dump(mode="json", by_alias=True))
    policy, policy_hash = load_policy(params.gate)

    evidence = check_evidence(measured, found, prepared)
    evidence += recount(measured, prepared, predictions) + recount_attacks(measured, prepared, attacks, params.seed)
    verdict = judge(policy, measured, evidence) | {
        "policy": params.gate.policy,
        "policy_sha256": policy_hash,
        "own": {"rules": params.gate.rules, "require": params.gate.require},
        "inputs": found | {"metrics": measured.get("digest")},
    }
    sealed = seal(verdict)
    write_json(out, sealed)
    return sealed
