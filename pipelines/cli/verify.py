"""Is an evidence bundle what was written, and does its verdict follow from its metrics? From the bundle alone."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text
from ruamel.yaml import YAML

from viker.core.errors import UserError
from viker.core.files import finite_json, sha256_bytes, sha256_path
from viker.evaluation.settings import EvaluateParams
from viker.evidence.bundle import unpack
from viker.evidence.seal import check_seal, params_digest
from viker.gate.judge import judge
from viker.gate.policies import Policy, PolicyRule, Requirement, load_policy
from viker.gate.settings import GateParams

FAILED = 3
"""Exit code of a bundle that is whole and whose gate failed, as of the gate itself."""
_ADVICE = "Don't rely on it."


def verify(
    bundle: Annotated[Path, typer.Argument(help="evidence.zip, or the folder that it was unpacked to.")],
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="The SHA-256 of evidence.zip that was kept when it was written.")
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="Also check that this adapter is the one judged.")] = None,
) -> None:
    """Check an evidence bundle: every byte, every hash, and the verdict, judged again from the metrics in it.

    Whoever changes a bundle and writes all of its hashes anew is found by the SHA-256 that was kept elsewhere, such
    as in the log of `viker report`: give it with `--sha256`.

    Exit codes: 0 the bundle is whole and the gate passed; 3 it is whole and the gate failed; 1 it is not what was
    written, or does not add up; 2 wrong usage.
    """
    files = unpack(bundle)
    problems = [*_identity(bundle, sha256), *check(files)]
    if adapter is not None and not problems:
        problems += _deployed(files, adapter)
    if problems:
        raise UserError(f"{bundle} does not add up: {'; '.join(problems)}. {_ADVICE}")
    passed = _json(files, "metrics/gate.json")["verdict"] == "pass"
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{bundle}: whole, {len(files)} files; the verdict follows from the metrics", markup=False)
    if bundle.is_file():
        console.print(f"SHA-256 {sha256_bytes(bundle.read_bytes())}", markup=False)
    console.print(Text(f"gate: {'pass' if passed else 'fail'}", "bold green" if passed else "bold red"))
    if not passed:
        raise typer.Exit(FAILED)


def check(files: Mapping[str, bytes]) -> list[str]:
    """Return a clause for each thing in which the files of a whole bundle contradict one another.

    Raises:
        UserError: a file is missing or can't be read.
    """
    metrics, gate = _json(files, "metrics/evaluate.json"), _json(files, "metrics/gate.json")
    problems = [
        f"{name} was edited: its digest does not fit its content"
        for name, content in (("metrics/evaluate.json", metrics), ("metrics/gate.json", gate))
        if not check_seal(content)
    ]
    return [*problems, *_inputs(metrics, gate), *_params(files, gate), *_verdict(metrics, gate), *_page(files)]


def _identity(bundle: Path, expected: str | None) -> Iterator[str]:
    if expected is None:
        return
    if not bundle.is_file():
        raise UserError(f"--sha256 is that of the file evidence.zip, {bundle} is a folder. Give the file.")
    found = sha256_bytes(bundle.read_bytes())
    if found != expected.strip().lower():
        yield f"its SHA-256 is {found}, expected {expected}"


def _inputs(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> Iterator[str]:
    """What the gate found must be what the metrics were measured on, unless the verdict says that it was not."""
    measured, judged = metrics.get("inputs") or {}, gate.get("inputs") or {}
    if judged.get("metrics") != metrics.get("digest"):
        yield "the gate judged other metrics than those in metrics/evaluate.json"
    for name in sorted({*measured, *judged} - {"metrics"}):
        if gate.get("verdict") == "pass" and measured.get(name) != judged.get(name):
            yield f"the metrics were measured on another {name} than the gate found, and yet it passed"


def _params(files: Mapping[str, bytes], gate: Mapping[str, Any]) -> Iterator[str]:
    try:
        values = YAML(typ="safe", pure=True).load(files["params.yaml"].decode())
        evaluate = EvaluateParams.model_validate(values["evaluate"])
        params, seed = GateParams.model_validate(values["gate"]), values["seed"]
    except KeyError as error:
        raise UserError(f"the bundle has no {error}: expected params.yaml with seed, evaluate and gate.") from None
    except ValidationError as error:
        reason = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise UserError(
            f"params.yaml of the bundle: another version wrote it ({reason}). Verify it with that."
        ) from None
    digest = params_digest(seed, evaluate.model_dump(mode="json", by_alias=True))
    if digest != (gate.get("inputs") or {}).get("params"):
        yield "params.yaml is not what the gate found: seed or evaluate differ"
    own = {"rules": params.rules, "require": params.require}
    if gate.get("own") != own or gate.get("policy") != params.policy:
        yield "the gate judged by another policy or other rules than params.yaml names"


def _verdict(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> Iterator[str]:
    """Judge again, by the rules that the verdict names; what needs the data themselves is taken as it was found."""
    rules, require = gate.get("rules") or [], gate.get("require") or []
    try:
        policy = Policy(
            about="The rules of the bundle.",
            rules=[PolicyRule(rule=rule["rule"], protects=rule["protects"]) for rule in rules],
            require=[Requirement(metric=r["rule"], protects=r["protects"]) for r in require if r["metric"]],
        )
    except (ValidationError, KeyError, TypeError):
        yield "metrics/gate.json has no rules, or some that can't be read"
        return
    again = judge(policy, metrics, [result for result in require if not result["metric"]])
    for name, results in (("rules", rules), ("require", require)):
        for told, found in zip(results, finite_json(again[name]), strict=True):
            if told != found:
                yield f"{told['rule']!r} comes out otherwise when it is judged again: {found['reason']}"
    if gate.get("verdict") != again["verdict"]:
        yield f"the verdict is {gate.get('verdict')!r}, judged again it is {again['verdict']!r}"
    yield from _policy(policy, gate)


def _policy(judged: Policy, gate: Mapping[str, Any]) -> Iterator[str]:
    """The rules must be the shipped policy's, where the policy here is the one that was judged by."""
    own = gate.get("own") or {}
    name = gate.get("policy")
    params = GateParams.model_construct(policy=name, rules=own.get("rules") or [], require=own.get("require") or [])
    if name is not None and not re.fullmatch(r"[a-z_]+", str(name)):
        yield f"there is no policy {name!r}"
        return
    shipped, digest = load_policy(params)
    if digest == gate.get("policy_sha256"):
        expected = [rule.rule for rule in shipped.rules], [one.metric for one in shipped.require]
        if expected != ([rule.rule for rule in judged.rules], [one.metric for one in judged.require]):
            yield f"its rules are not those of the policy {name!r} and params.yaml"


def _page(files: Mapping[str, bytes]) -> Iterator[str]:
    """The page must be about this verdict on these metrics."""
    html = _text(files, "report.html")
    metrics, gate = _json(files, "metrics/evaluate.json"), _json(files, "metrics/gate.json")
    facts = {"verdict": gate.get("verdict"), "metrics": metrics.get("digest"), "gate": gate.get("digest")}
    for name, expected in facts.items():
        found = re.search(rf'<meta name="viker-{name}" content="([^"]*)">', html)
        if found is None or found[1] != expected:
            yield f"report.html is about another {'verdict' if name == 'verdict' else f'metrics/{name}.json'}"


def _deployed(files: Mapping[str, bytes], adapter: Path) -> list[str]:
    if not adapter.exists():
        raise UserError(f"{adapter}: no such folder. Give the adapter's, such as models/adapter.")
    found, judged = sha256_path(adapter), _json(files, "metrics/gate.json")["inputs"].get("adapter")
    return [] if found == judged else [f"the adapter judged has SHA-256 {judged}, {adapter} has {found}"]


def _json(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        found = json.loads(_text(files, name))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{name} of the bundle is not JSON ({error}). {_ADVICE}") from None
    if not isinstance(found, dict):
        raise UserError(f"{name} of the bundle: expected an object, found {type(found).__name__}. {_ADVICE}")
    return found


def _text(files: Mapping[str, bytes], name: str) -> str:
    try:
        return files[name].decode()
    except KeyError:
        raise UserError(f"the bundle has no {name}. {_ADVICE}") from None
    except UnicodeDecodeError:
        raise UserError(f"{name} of the bundle is no text. {_ADVICE}") from None
