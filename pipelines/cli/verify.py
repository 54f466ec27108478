"""``viker verify``: is an evidence bundle unchanged, and does its verdict follow from its metrics?"""

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
from ruamel.yaml.error import YAMLError

from viker.core.console import JsonOption, say_json
from viker.core.errors import UserError
from viker.core.files import finite_json, sha256_bytes, sha256_path
from viker.evidence.bundle import unpack
from viker.evidence.seal import check_seal, params_digest
from viker.evidence.signature import verify_file
from viker.evidence.training_summary import KEY, with_training
from viker.gate.evidence import rule_of
from viker.gate.judge import judge
from viker.gate.policies import Policy, Requirement, load_policy, policy_path
from viker.gate.settings import GateParams

FAILED = 3
"""Exit code if the bundle is unchanged and its gate failed, the same as that of the gate."""
_ADVICE = "Don't rely on it."


def verify(
    bundle: Annotated[Path, typer.Argument(help="evidence.zip, or the folder that it was unpacked to.")],
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="The SHA-256 of evidence.zip that was noted when it was written.")
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="Also check that this adapter is the one judged.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Also check the signature, by this public key: Ed25519, in PEM.")
    ] = None,
    signature: Annotated[Path | None, typer.Option(help="Default: the bundle's name with .dsse.json.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check an evidence bundle: every byte, every hash, and the verdict, judged again from the metrics in it.

    Somebody who changes a bundle and rewrites all of its hashes is caught by a signature (`--key`) or by a SHA-256 that
    was kept elsewhere, such as in the log of `viker report` (`--sha256`). Without either, the digests prove no author.

    Exit codes: 0 the bundle is unchanged and the gate passed; 3 it is unchanged and the gate failed; 1 it was changed
    or contradicts itself; 2 wrong usage.
    """
    files = unpack(bundle)
    digest = sha256_bytes(bundle.read_bytes()) if bundle.is_file() else None
    if sha256 is not None and digest is None:
        raise UserError(f"--sha256 is that of the file evidence.zip, but {bundle} is a folder. Give the file.")
    if key is not None and digest is None:
        raise UserError(f"--key checks the file evidence.zip, but {bundle} is a folder. Give the file.")
    signer = verify_file(bundle, key, signature) if key is not None else None
    problems = check(files)
    if sha256 is not None and digest != sha256.strip().lower():
        problems.insert(0, f"its SHA-256 is {digest}, expected {sha256}")
    gate = _json(files, "metrics/gate.json")
    if adapter is not None and not problems:
        if not adapter.exists():
            raise UserError(f"{adapter}: no such folder. Give the adapter's, such as models/adapter.")
        actual, judged = sha256_path(adapter), gate["inputs"].get("adapter")
        if actual != judged:
            problems.append(f"the adapter judged has SHA-256 {judged}, {adapter} has {actual}")
    if problems:
        raise UserError(f"{bundle} does not add up: {'; '.join(problems)}. {_ADVICE}")
    passed, policy = gate["verdict"] == "pass", gate.get("policy")
    if as_json:
        say_json({"files": len(files), "sha256": digest, "verdict": gate["verdict"], "policy": policy})
        raise typer.Exit(0 if passed else FAILED)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{bundle}: whole, {len(files)} files; the verdict follows from the metrics", markup=False)
    if digest is not None:
        console.print(f"SHA-256 {digest}", markup=False)
    console.print(
        f"signed with the key {signer}" if signer else "not checked who made it: a digest proves no author; --key does",
        markup=False,
    )
    by = f" (policy {policy})" if policy else " (rules of params.yaml)"
    console.print(Text.assemble((f"gate: {'pass' if passed else 'fail'}", "bold green" if passed else "bold red"), by))
    if not passed:
        raise typer.Exit(FAILED)


def check(files: Mapping[str, bytes]) -> list[str]:
    """Return a clause for each contradiction between the files of an unchanged bundle.

    Raises UserError: a file is missing or can't be read.
    """
    metrics, gate = _json(files, "metrics/evaluate.json"), _json(files, "metrics/gate.json")
    sealed, training = {"metrics/evaluate.json": metrics, "metrics/gate.json": gate}, {}
    if KEY in (gate.get("inputs") or {}):  # not of an earlier version, which didn't judge the unlearning run
        training = sealed["unlearning/summary.json"] = _json(files, "unlearning/summary.json")
    problems = [
        f"{name} was edited: its digest doesn't match its content"
        for name, content in sealed.items()
        if not check_seal(content)
    ]
    problems += [*_inputs(metrics, gate, training), *_params(files, gate)]
    problems += _verdict(with_training(metrics, training), gate)
    html = _text(files, "report.html")
    facts = {"verdict": gate.get("verdict"), "metrics": metrics.get("digest"), "gate": gate.get("digest")}
    for name, expected in facts.items():
        match = re.search(rf'<meta name="viker-{name}" content="([^"]*)">', html)
        if match is None or match[1] != expected:
            other = "verdict" if name == "verdict" else f"metrics/{name}.json"
            problems.append(f"report.html is about another {other}")
    return problems


def _inputs(metrics: Mapping[str, Any], gate: Mapping[str, Any], training: Mapping[str, Any]) -> Iterator[str]:
    """The gate's inputs must be what the metrics were measured on, unless the verdict says that they were not."""
    measured, judged = metrics.get("inputs") or {}, gate.get("inputs") or {}
    if judged.get("metrics") != metrics.get("digest"):
        yield "the gate judged other metrics than those in metrics/evaluate.json"
    if judged.get(KEY) != training.get("digest"):
        yield "the gate judged another unlearning run than that of unlearning/summary.json"
    for name in sorted({*measured, *judged} - {"metrics", KEY}):
        if gate.get("verdict") == "pass" and measured.get(name) != judged.get(name):
            yield f"the metrics were measured on another {name} than the gate saw, and yet it passed"


def _params(files: Mapping[str, bytes], gate: Mapping[str, Any]) -> Iterator[str]:
    """params.yaml must be what the gate judged by; as plain values, whatever version or plug-ins wrote it."""
    try:
        values = YAML(typ="safe", pure=True).load(_text(files, "params.yaml"))
        seed, evaluate, section = values["seed"], dict(values["evaluate"]), values["gate"]
        named = {key: section[key] for key in ("policy", "rules", "require")}
    except (KeyError, TypeError, ValueError, YAMLError) as error:
        raise UserError(
            f"params.yaml of the bundle: expected the keys seed, evaluate and gate ({error}). {_ADVICE}"
        ) from None
    if params_digest(seed, evaluate) != (gate.get("inputs") or {}).get("params"):
        yield "params.yaml is not what the gate saw: seed or evaluate differ"
    if {"policy": gate.get("policy"), **(gate.get("own") or {})} != named:
        yield "the gate judged by another policy or other rules than params.yaml names"


def _verdict(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> Iterator[str]:
    """Judge again by the rules that the verdict names; results that need the data are taken as they are."""
    rules, require = gate.get("rules") or [], gate.get("require") or []
    try:
        policy = Policy(
            about="The rules of the bundle.",
            rules=[rule_of(rule) for rule in rules],
            require=[Requirement(metric=r["rule"], protects=r["protects"]) for r in require if r["metric"]],
        )
    except (ValidationError, KeyError, TypeError):
        yield "metrics/gate.json has no rules, or some that can't be read"
        return
    again = judge(policy, metrics, [result for result in require if not result["metric"]])
    for name, results in (("rules", rules), ("require", require)):
        for written, judged in zip(results, finite_json(again[name]), strict=True):
            if written != judged:
                yield f"{written['rule']!r} has another result when judged again: {judged['reason']}"
    if gate.get("verdict") != again["verdict"]:
        yield f"the verdict is {gate.get('verdict')!r}, judged again it is {again['verdict']!r}"
    yield from _policy(policy, gate)


def _policy(judged: Policy, gate: Mapping[str, Any]) -> Iterator[str]:
    """The rules must be the policy's, if its file is here and is the one that the gate judged by."""
    own, name = gate.get("own") or {}, gate.get("policy")
    params = GateParams.model_construct(policy=name, rules=own.get("rules") or [], require=own.get("require") or [])
    if name is not None:
        try:
            path = policy_path(str(name))
        except ValueError:
            yield f"there is no policy {name!r}"
            return
        if not path.is_file() or sha256_path(path) != gate.get("policy_sha256"):
            return
    policy, digest = load_policy(params)
    if digest == gate.get("policy_sha256") and (policy.rules, policy.require) != (judged.rules, judged.require):
        yield f"its rules are not those of the policy {name!r} and params.yaml"


def _json(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        content = json.loads(_text(files, name))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{name} of the bundle is not JSON ({error}). {_ADVICE}") from None
    if not isinstance(content, dict):
        raise UserError(f"{name} of the bundle: expected an object, found {type(content).__name__}. {_ADVICE}")
    return content


def _text(files: Mapping[str, bytes], name: str) -> str:
    try:
        return files[name].decode()
    except KeyError:
        raise UserError(f"the bundle has no {name}. {_ADVICE}") from None
    except UnicodeDecodeError:
        raise UserError(f"{name} of the bundle is not text. {_ADVICE}") from None
