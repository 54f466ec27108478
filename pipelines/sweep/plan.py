"""The plan of a sweep: for each combination of values, the stages of dvc.yaml; steps with the same inputs run once.

Not left to DVC's experiment queue: there, two jobs at once both run a stage that they share, a killed combination loses
its checkpoints with its copy of the work tree, and its task counts as running until someone kills it by hand.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.contract.params import params_model
from viker.core.errors import UserError, did_you_mean
from viker.core.files import sha256_bytes, sha256_json, sha256_path
from viker.core.nested import flatten
from viker.core.settings import read_yaml, validated

LAST = "gate"
"""The last stage of a sweep: its results are for people to choose from, not for the registry."""


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml."""

    name: str
    command: str
    deps: Sequence[str]
    sections: Sequence[str]
    """The keys of params.yaml that it reads."""
    outs: Sequence[str]


@dataclass(frozen=True)
class Combination:
    """One value for each swept key."""

    name: str
    swept: dict[str, Any]
    """The values by dotted key."""
    params: dict[str, Any]
    """All of params.yaml with these values."""


def combinations(params_file: Path, lists: Mapping[str, list[Any]], section: str = "sweep") -> list[Combination]:
    """Return every combination of the lists' values, in order, the last list varying fastest.

    Raises UserError: no lists, a key that is not in params.yaml, or a combination that is not valid; the message names
    the ``section`` that the lists come from.
    """
    if not lists:
        raise UserError(f"sweep: no values. List them in the section 'sweep' of {params_file}, or with --set.")
    base = read_yaml(params_file, "Run in the project's root, or name it with --params.")
    known = flatten({key: value for key, value in base.items() if key not in ("sweep", "tune")})
    for key in lists:
        if key not in known and not any(name.startswith(f"{key}.") for name in known):
            raise UserError(f"{section}: no key '{key}' in {params_file}{did_you_mean(key, known)}")
    swept = (dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values()))
    return [_combination(base, params_file, one, section) for one in swept]


def read_stages(root: Path) -> list[Stage]:
    """Return the stages of dvc.yaml up to the gate, in order."""
    stages = []
    for name, declared in read_yaml(root / "dvc.yaml", "Run in the project's root.")["stages"].items():
        outs = [*declared.get("outs", []), *declared.get("metrics", [])]
        paths = [next(iter(out)) if isinstance(out, dict) else out for out in outs]
        stages.append(Stage(name, declared["cmd"], declared["deps"], declared["params"], paths))
        if name == LAST:
            break
    return stages


def reached(stages: Sequence[Stage], swept: Collection[str]) -> list[Stage]:
    """Return the stages that a swept key reaches, itself or through what they read; the others are shared by all."""
    sections = {key.split(".")[0] for key in swept}
    affected, outs = list[Stage](), set[str]()
    for stage in stages:
        if sections & set(stage.sections) or outs & set(stage.deps):
            affected.append(stage)
            outs |= set(stage.outs)
    return affected


def input_keys(root: Path, stages: Sequence[Stage], combination: Combination) -> dict[str, str]:
    """Return a hash of its inputs for each stage that a swept key reaches: code, parameters, and what it reads."""
    keys: dict[str, str] = {}
    key_by_out: dict[str, str] = {}
    filled = {f"${{{path}}}": str(value) for path, value in flatten(combination.params).items()}  # dvc.yaml's templates
    for stage in reached(stages, combination.swept):
        deps = [filled.get(dep, dep) for dep in stage.deps]
        inputs = {dep: key_by_out.get(dep) or content(str(root / dep)) for dep in deps}
        sections = {section: combination.params[section] for section in stage.sections}
        keys[stage.name] = sha256_json([stage.name, sections, inputs])
        key_by_out |= dict.fromkeys(stage.outs, keys[stage.name])
    return keys


@cache
def content(path: str) -> str:
    """Return the hash of a file or folder, compiled code left out; "" for what is not on this disk."""
    place = Path(path)
    if not place.is_dir():
        return sha256_path(place) if place.is_file() else ""
    files = sorted(p for p in place.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return sha256_bytes("".join(f"{p.relative_to(place)}\0{sha256_path(p)}" for p in files).encode())


def _combination(base: Mapping[str, Any], params_file: Path, swept: dict[str, Any], section: str) -> Combination:
    params: dict[str, Any] = {**base, "sweep": {}}
    for key, value in swept.items():
        params = _with(params, key.split("."), value)
    name = " ".join(f"{key.rpartition('.')[2]}={_short(value)}" for key, value in swept.items())
    try:
        validated(params_model(), params, params_file)
    except UserError as error:
        raise UserError(f"{section}, {name}: {error}") from None
    return Combination(name, swept, params)


def _with(values: Mapping[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    """Return a copy of nested ``values`` with the value at the path ``keys`` replaced."""
    return {**values, keys[0]: _with(values[keys[0]], keys[1:], value) if len(keys) > 1 else value}


def _short(value: Any) -> str:
    return "null" if value is None else str(value).replace(" ", "")
