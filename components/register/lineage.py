"""What a version was made from: hashes that are checked before anything is registered, code and packages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import UserError
from components.common.files import need_folder, sha256_path
from components.common.rules import look_up


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


def check_judged(gate: dict[str, Any], gate_path: Path, metrics: dict[str, Any], policy: list[str]) -> None:
    """Make sure that the verdict is about these metrics and by this policy, not left over from others.

    Raises:
        UserError: the gate's rules are not those of params.yaml, a value is not the metric's, or the verdict does
            not follow from the rules.
    """
    rules = gate.get("rules")
    rules = rules if isinstance(rules, list) else []
    judged = [" ".join(str(rule.get("rule")).split()) for rule in rules]
    problem = ""
    if judged != [" ".join(rule.split()) for rule in policy]:
        problem = "its rules are not those of gate.rules in params.yaml"
    for rule in rules:
        if rule.get("value") != look_up(metrics, str(rule.get("metric"))):
            problem = f"it judged {rule.get('metric')} = {rule.get('value')}, which is not what evaluate measured"
    expected = "pass" if rules and all(rule.get("passed") is True for rule in rules) else "fail"
    if gate.get("verdict") != expected:
        problem = f"its verdict is {gate.get('verdict')!r}, its rules say {expected!r}"
    if problem:
        raise UserError(
            f"{gate_path} does not belong to these metrics: {problem}. "
            "Nothing was registered. Run 'viker gate' again, then 'viker register'."
        )


def _short(digest: Any) -> str:
    return f"{digest[:12]}…" if isinstance(digest, str) and digest else "nothing"
