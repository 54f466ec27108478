"""What a version was made from: hashes that are checked before anything is registered, code and packages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import need_folder, sha256_path
from viker.evidence.seal import check_seal
from viker.gate.rules import apply_rule, parse_rule
from viker.gate.settings import GateParams


@dataclass(frozen=True)
class Lineage:
    """SHA-256 of the adapter's folder, of the vanilla model's folder and of the prepared data's manifest."""

    adapter: str
    model: str
    data: str


def hash_inputs(adapter: Path, model: Path, prepared: Path) -> Lineage:
    """Hash the files as they lie there now.

    Raises:
        UserError: one of them is missing.
    """
    manifest = need_folder(prepared, "prepare") / "manifest.json"
    if not manifest.is_file():
        raise UserError(f"{manifest}: no such file. The stage 'prepare' writes it: run 'viker prepare' first.")
    return Lineage(
        adapter=sha256_path(need_folder(adapter, "unlearn")),
        model=sha256_path(need_folder(model, "finetune")),
        data=sha256_path(manifest),
    )


def check_evaluated(actual: Lineage, metrics: dict[str, Any], metrics_path: Path, places: dict[str, Path]) -> None:
    """Make sure that the metrics were measured on the very files that are about to be registered.

    Args:
        actual: the hashes of the files as they are.
        metrics: metrics/evaluate.json, whose ``inputs`` holds the hashes of what was evaluated.
        metrics_path: where the metrics come from, for the error.
        places: path of ``adapter``, ``model`` and ``data``, for the error.

    Raises:
        UserError: a hash differs or is missing; the message says which.
    """
    inputs = metrics.get("inputs")
    evaluated = inputs if isinstance(inputs, dict) else {}
    changed = [name for name in places if evaluated.get(name) != getattr(actual, name)]
    if changed:
        which = "; ".join(
            f"{name} ({places[name]}): evaluated {_short(evaluated.get(name))}, found {_short(getattr(actual, name))}"
            for name in changed
        )
        raise UserError(
            f"{metrics_path} was not measured on the files that are here: SHA-256 of {which}. "
            "Nothing was registered. Run 'viker evaluate' and 'viker gate' again, then 'viker register'."
        )


def check_judged(gate: dict[str, Any], gate_path: Path, metrics: dict[str, Any], policy: GateParams) -> None:
    """Make sure that the verdict is about these metrics and by this policy, not left over from others.

    Raises:
        UserError: the verdict was edited, its policy is not that of params.yaml, it is about other metrics, or does
            not follow from its rules and what they require.
    """
    rules, require = ([r for r in gate.get(name) or [] if isinstance(r, dict)] for name in ("rules", "require"))
    judged_on = gate.get("inputs")
    problem = ""
    if not check_seal(gate):
        problem = "its digest does not fit its content: it was edited"
    elif (gate.get("policy"), gate.get("own")) != (policy.policy, policy.model_dump(include={"rules", "require"})):
        problem = "its rules are not those of the section gate in params.yaml"
    elif not isinstance(judged_on, dict) or judged_on.get("metrics") != metrics.get("digest"):
        problem = "it judged other metrics than those that evaluate measured"
    for rule in rules:
        again = apply_rule(parse_rule(str(rule.get("rule"))), metrics)
        if any(rule.get(name) != value for name, value in again.items()):
            problem = problem or f"of {again['rule']!r} it says: {rule.get('reason')} Now: {again['reason']}"
    expected = "pass" if rules and all(one.get("passed") is True for one in (*rules, *require)) else "fail"
    if gate.get("verdict") != expected:
        problem = problem or f"its verdict is {gate.get('verdict')!r}, its rules say {expected!r}"
    if problem:
        raise UserError(
            f"{gate_path} does not belong to these metrics: {problem}. "
            "Nothing was registered. Run 'viker gate' again, then 'viker register'."
        )


def _short(digest: Any) -> str:
    return f"{digest[:12]}…" if isinstance(digest, str) and digest else "nothing"
