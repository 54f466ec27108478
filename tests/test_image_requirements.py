"""Each stage's image gets the packages that its code imports, and no heavy one that it doesn't."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from components.contract.stages import stages

ROOT = Path(__file__).parents[1]
STAGES = tuple(stages())
ELSEWHERE = {"register": {"dvc", "httpx2", "huggingface_hub"}}
"""What a stage reaches and never calls: register fetches forget requests alone, and those lie in a folder or in S3."""
FILES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["dynamic"]


def requirements(stage: str) -> list[str]:
    extra = FILES["optional-dependencies"].get(stage, {"file": []})
    files = FILES["dependencies"]["file"] + extra["file"]
    return [line for file in files for line in (ROOT / file).read_text(encoding="utf-8").split("\n") if line]


def closure(wanted: list[str]) -> set[str]:
    """Names of the distributions that installing ``wanted`` brings, from what is installed here."""
    todo, found = [Requirement(line) for line in wanted], set()
    while todo:
        asked = todo.pop()
        for extra in ("", *asked.extras):
            if (key := (canonicalize_name(asked.name), extra)) in found:
                continue
            found.add(key)
            for line in metadata.requires(asked.name) or []:
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo.append(needed)
    return {name for name, _ in found}


@cache
def imported(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def reached(stage: str) -> set[str]:
    """Top-level packages that a stage's modules import, at once or later, through components/common too."""
    todo = [file for file in (ROOT / "components" / stage).rglob("*.py") if file.name != "component.py"]
    todo.append(ROOT / "components" / "common" / "task.py")
    files, packages = set(), set()
    while todo:
        if (file := todo.pop()) in files:
            continue
        files.add(file)
        for name in imported(file):
            path = ROOT.joinpath(*name.split("."))
            if name.split(".")[0] != "components":
                packages.add(name.split(".")[0])
            elif (module := path.with_suffix(".py")).is_file() or (module := path / "__init__.py").is_file():
                todo.append(module)
    return packages - set(sys.stdlib_module_names)


@pytest.mark.parametrize("stage", STAGES)
def test_requirements_cover_what_a_stage_imports(stage: str) -> None:
    installed = closure(requirements(stage))
    providers = metadata.packages_distributions()
    missing = {
        package
        for package in reached(stage) - ELSEWHERE.get(stage, set())
        if not installed & {canonicalize_name(name) for name in providers.get(package, [])}
    }
    assert not missing, f"add what {stage} imports to requirements/"


@pytest.mark.parametrize(
    ("stage", "heavy"),
    [
        *((stage, "torch") for stage in ("prepare", "sample", "gate", "register", "report")),
        *((stage, "transformers") for stage in ("prepare", "sample", "gate", "register", "report")),
        *((stage, "kfp") for stage in STAGES),
    ],
)
def test_an_image_has_no_heavy_package_in_vain(stage: str, heavy: str) -> None:
    assert heavy not in closure(requirements(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_the_dockerfile_installs_the_extra(stage: str) -> None:
    """The stages of the Dockerfile, from the stage's own down to the base, install the files of the extra, in order."""
    parents, files, name = {}, {}, ""
    for line in (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("FROM "):
            _, parent, _, name = line.split()
            parents[name] = parent
        files.setdefault(name, []).extend(
            part.removeprefix("source=").split(",")[0] for part in line.split("--mount=") if "requirements/" in part
        )
        if '"torch===' in line:
            files[name].append("requirements/torch.txt")
    chain, name = [], f"deps-{stage}"
    while name in parents:
        chain = files.get(name, []) + chain
        name = parents[name]
    assert chain == FILES["dependencies"]["file"] + FILES["optional-dependencies"].get(stage, {"file": []})["file"]


def test_every_requirement_is_pinned() -> None:
    pinned = {canonicalize_name(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().split("\n")}
    asked = FILES["dependencies"]["file"] + FILES["optional-dependencies"]["all"]["file"] + ["requirements/test.txt"]
    names = {
        canonicalize_name(Requirement(line).name)
        for file in asked
        for line in (ROOT / file).read_text().split("\n")
        if line
    }
    assert names <= pinned


@pytest.mark.parametrize(("torch", "label"), [("cpu", "+cpu"), ("cuda", "")])
def test_the_build_argument_says_which_torch_pip_is_asked_for(torch: str, label: str, tmp_path: Path) -> None:
    """The client stands for Docker's: it puts down what it is told, and builds nothing."""
    client = tmp_path / "docker"
    client.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\ntest "$1" = --version && echo version 20.10.24\n')
    client.chmod(0o755)
    done = subprocess.run(
        [sys.executable, ROOT / "docker" / "build.py", "unlearn", "--torch", torch],
        env=os.environ | {"DOCKER": str(client)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "viker-unlearn" in done.stderr
    (told,) = [line for line in (tmp_path / "told").read_text().splitlines() if line.startswith("build ")]
    (pinned,) = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f" TORCH={pinned}{label} " in told
    (layer,) = [line for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines() if '"torch===' in line]
    assert '"torch===${TORCH}"' in layer


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--no-color", ROOT / "docker" / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
