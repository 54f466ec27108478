"""The gate: read the metrics, check them against the files and the policy, write the verdict."""

from typing import Any

from components.contract.params import Params
from components.gate.stage import Arguments
from viker.core.files import read_json, write_json
from viker.evidence.seal import hash_inputs, params_digest, seal
from viker.evidence.training_summary import with_training
from viker.gate.integrity import check_integrity
from viker.gate.judge import judge
from viker.gate.policies import load_policy
from viker.gate.recount import recount
from viker.gate.recount_attacks import recount_attacks
from viker.gate.recount_earlier import recount_earlier
from viker.gate.training import read_training


def run(params: Params, args: Arguments) -> dict[str, Any]:
    """Write the verdict on ``metrics`` to ``out`` and return it.

    It is what ``judge`` returns, with ``policy`` and ``policy_sha256`` (None without one), ``own`` (the rules and
    requirements of params.yaml), ``inputs`` (the SHA-256 of the files as they are, and the digests of the metrics and
    of the unlearning run's summary) and the ``digest`` of it all.

    Raises UserError: the metrics, the policy, or what the metrics were measured on, is missing or can't be read; or
        the unlearning run's summary is, where the policy is about it.
    """
    measured = read_json(args.metrics, "evaluate")
    hashes = hash_inputs(args.adapter, args.vanilla, args.prepared, args.predictions, args.attacks)
    hashes["params"] = params_digest(params.seed, params.values()["evaluate"])
    protocol = params.evaluate.in_force()
    hashes["protocol"] = protocol.sha256
    policy, policy_sha256 = load_policy(params.gate)

    checks = check_integrity(measured, hashes, args.prepared)
    checks += recount(measured, args.prepared, args.predictions, protocol, params.seed)
    checks += recount_attacks(measured, args.prepared, args.attacks, params.evaluate, params.seed, hashes["adapter"])
    checks += recount_earlier(measured, args.prepared, params.seed, hashes["adapter"])
    training, floors = read_training(args.unlearning, hashes["adapter"], args.prepared, policy)
    verdict = judge(policy, with_training(measured, training), [*checks, floors]) | {
        "policy": params.gate.policy,
        "policy_sha256": policy_sha256,
        "own": {"rules": params.gate.rules, "require": params.gate.require},
        "inputs": hashes | {"metrics": measured.get("digest"), "unlearning": training.get("digest")},
    }
    sealed = seal(verdict)
    write_json(args.out, sealed)
    return sealed
