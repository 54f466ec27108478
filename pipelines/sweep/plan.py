"""What a sweep runs: for each combination of values the stages of dvc.yaml, each only once for the same inputs."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.contract.params import params_model
from viker.core.errors import UserError, did_you_mean
from viker.core.files import sha256_path
from viker.core.settings import read_yaml, validated
from viker.tracking.flatten import flatten
from viker.tracking.identity import digest

LAST = "gate"
"""A sweep ends with the verdict: what it finds is for people to choose from, not for the registry."""


@dataclass(frozen=True)
class Step:
    """A stage with its inputs. ``key`` tells the same inputs; None where no swept value reaches the stage."""

    stage: str
    command: str
    outs: tuple[str, ...]
    key: str | None


@dataclass(frozen=True)
class Job:
    """A combination: its name, the swept values, all values of params.yaml, and its steps in order."""

    name: str
    swept: dict[str, Any]
    values: dict[str, Any]
    steps: tuple[Step, ...]


def plan(root: Path, params_file: Path, lists: Mapping[str, list[Any]]) -> list[Job]:
    """Return a job for each combination of the lists' values, the last list running fastest.

    Raises:
        UserError: a key is not in params.yaml, or a combination is not valid.
    """
    base = read_yaml(params_file, "")
    known = flatten({key: value for key, value in base.items() if key != "sweep"})
    for key in lists:
        if key not in known and not any(name.startswith(f"{key}.") for name in known):
            raise UserError(f"sweep: no key '{key}' in {params_file}{did_you_mean(key, known)}")
    if not lists:
        raise UserError(f"sweep: nothing to try. Give lists in the section 'sweep' of {params_file}, or with --set.")
    return [_job(root, base, params_file, swept) for swept in _combinations(lists)]


def _combinations(lists: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*lists.values()):
        yield dict(zip(lists, values, strict=True))


def _job(root: Path, base: Mapping[str, Any], params_file: Path, swept: dict[str, Any]) -> Job:
    values: dict[str, Any] = {**base, "sweep": {}}
    for key, value in swept.items():
        values = _with(values, key.split("."), value)
    name = " ".join(f"{key.rpartition('.')[2]}={_short(value)}" for key, value in swept.items())
    try:
        validated(params_model(), values, params_file)
    except UserError as error:
        raise UserError(f"sweep, {name}: {error}") from None
    return Job(name, swept, values, tuple(_steps(root, values, set(swept))))


def _steps(root: Path, values: Mapping[str, Any], swept: set[str]) -> Iterator[Step]:
    made_by: dict[str, str | None] = {}
    for stage, given in read_yaml(root / "dvc.yaml", "Run in the project's root.")["stages"].items():
        outs = tuple(_name(entry) for entry in [*given.get("outs", []), *given.get("metrics", [])])
        deps = [_filled(dep, values) for dep in given["deps"]]
        above = {dep: made_by[dep] for dep in deps if dep in made_by}
        touched = any(key.split(".")[0] in given["params"] for key in swept) or any(above.values())
        key = None
        if touched:
            sections = {section: values[section] for section in given["params"]}
            code = {dep: content(str(root / dep)) for dep in deps if dep not in made_by}
            key = digest([stage, sections, code, above, {} if all(above.values()) else _shared(root, above)])
        made_by |= dict.fromkeys(outs, key)
        yield Step(stage, given["cmd"], outs, key)
        if stage == LAST:
            return


def _shared(root: Path, above: Mapping[str, str | None]) -> dict[str, str]:
    """Return hashes of what the tree's own stages wrote, of the inputs that all combinations share."""
    return {path: content(str(root / path)) for path, key in above.items() if key is None}


@cache
def content(path: str) -> str:
    """Return the hash of a file or folder, compiled code left out; "" for what is not on this disk."""
    place = Path(path)
    if not place.is_dir():
        return sha256_path(place) if place.is_file() else ""
    files = sorted(p for p in place.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return hashlib.sha256("".join(f"{p.relative_to(place)}\0{sha256_path(p)}" for p in files).encode()).hexdigest()


def _with(values: Mapping[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    inner = _with(values[keys[0]], keys[1:], value) if len(keys) > 1 else value
    return {**values, keys[0]: inner}


def _filled(dep: str, values: Mapping[str, Any]) -> str:
    if not dep.startswith("${"):
        return dep
    section, key = dep[2:-1].split(".")
    return str(values[section][key])


def _name(entry: Any) -> str:
    return str(next(iter(entry))) if isinstance(entry, dict) else str(entry)


def _short(value: Any) -> str:
    return str(value).replace(" ", "") if value is not None else "null"
