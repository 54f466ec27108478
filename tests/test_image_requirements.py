"""Each stage's image gets the packages that its code imports, and no heavy ones that it doesn't."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from components.contract.stages import stages
from tests.imports import PACKAGES, file_of, graph, plugins_of

ROOT = Path(__file__).parents[1]
STAGES = tuple(stages())
NEVER_CALLED = {"register": {"dvc", "httpx2", "huggingface_hub", "pyarrow"}}
"""Packages that a stage reaches but never calls: register fetches only requests, from a folder or from S3, and
publishes no tables."""
ALSO = {"prepare": ("components.privacy.by_policy",)}
"""Programs of no stage that run in the image of one."""
COMPUTING = ("torch", "transformers", "peft", "sklearn", "scipy", "nltk", "rouge_score", "mlflow", "pandas")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["dynamic"]


def files(stage: str) -> list[str]:
    return [f"requirements/{name}.txt" for name in ("base", *stages()[stage].requirements)]


def requirements(stage: str) -> list[str]:
    return [line for file in files(stage) for line in (ROOT / file).read_text(encoding="utf-8").split("\n") if line]


def distributions(wanted: list[str]) -> set[str]:
    """Names of the distributions that installing ``wanted`` brings, from what is installed here."""
    todo, seen = [Requirement(line) for line in wanted], set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *requirement.extras):
            if (key := (canonicalize_name(requirement.name), extra)) in seen:
                continue
            seen.add(key)
            for line in metadata.requires(requirement.name) or []:
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo.append(needed)
    return {name for name, _ in seen}


@cache
def imports(module: str, later: bool) -> frozenset[str]:
    """Full names that a module imports when it is imported and, with ``later``, inside its functions too."""
    names: set[str] = set()
    todo: list[ast.AST] = [ast.parse(file_of(module).read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not later:
            continue
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            todo += ast.iter_child_nodes(node)
    return frozenset(names)


COMPUTES = ("finetune", "unlearn", "evaluate")
"""The stages that compute with a model."""


def reached(stage: str) -> set[str]:
    """Top-level packages that the programs of a stage import through any module of the project.

    A stage without the model reads what plug-ins and other stages declare and does not compute with them: what they
    import inside their functions does not count there.
    """
    folder = f"components.{stage}"
    programs = {folder, *graph().find_descendants(folder), "components.contract.kfp_task", *ALSO.get(stage, ())}
    computes = stage in COMPUTES
    packages: set[str] = set()
    todo, seen = {(module, True) for module in programs}, set()
    while todo:
        module, later = todo.pop()
        seen.add((module, later))
        names = imports(module, later)
        packages |= {name.split(".")[0] for name in names}
        found = {(name, later) for name in names if name in graph().modules}
        found |= {(plugin, later and computes) for plugin in plugins_of(module)}
        if module == stages.__module__:
            found |= {(f"components.{name}.stage", False) for name in STAGES}
        todo |= found - seen
    return packages - set(sys.stdlib_module_names) - set(PACKAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_requirements_cover_what_a_stage_imports(stage: str) -> None:
    installed = distributions(requirements(stage))
    providers = metadata.packages_distributions()
    missing = {
        package
        for package in reached(stage) - NEVER_CALLED.get(stage, set())
        if not installed & {canonicalize_name(name) for name in providers.get(package, [])}
    }
    assert not missing, f"add what {stage} imports to requirements/"


@pytest.mark.parametrize("stage", sorted(NEVER_CALLED))
def test_what_a_stage_never_calls_is_not_imported_with_it(stage: str) -> None:
    folder = f"components.{stage}"
    programs = sorted({folder, *graph().find_descendants(folder)})
    script = f"""
import importlib, sys
for name in {sorted(NEVER_CALLED[stage])}:
    sys.modules[name] = None  # importing it raises ImportError
for program in {programs}:
    importlib.import_module(program)
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_params_yaml_can_be_validated_in_every_image() -> None:
    """Each image reads the settings of all stages and plug-ins, and not every image has what these compute with."""
    script = f"""
import sys
for name in {COMPUTING}:
    sys.modules[name] = None  # importing it raises ImportError
from pathlib import Path
from components.contract.params import load_params
load_params(Path("params.yaml"))
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("stage", "heavy"),
    [
        *((stage, "torch") for stage in STAGES if stage not in COMPUTES),
        *((stage, "transformers") for stage in STAGES if stage not in COMPUTES),
        *((stage, "kfp") for stage in STAGES),
    ],
)
def test_an_image_has_no_heavy_package_that_it_does_not_use(stage: str, heavy: str) -> None:
    assert heavy not in distributions(requirements(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_the_extra_of_a_stage_is_what_the_stage_declares(stage: str) -> None:
    assert EXTRAS["dependencies"]["file"] + EXTRAS["optional-dependencies"].get(stage, {"file": []})["file"] == files(
        stage
    )


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docker")
    return importlib.import_module("build")


@pytest.mark.parametrize("stage", STAGES)
def test_an_image_gets_what_its_stage_declares_in_this_order(build: ModuleType, stage: str) -> None:
    """The targets of the Dockerfile below the one that the build picks install what the stage does not add to it."""
    _, shared, _, add = build.package_options(stages()[stage].requirements)
    parents, installed, target = {}, {}, ""
    for line in (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("FROM "):
            _, parent, _, target = line.split()
            parents[target] = parent
        installed.setdefault(target, []).extend(re.findall(r"source=(requirements/\w+\.txt)", line))
        if '"torch===' in line:
            installed[target].append("requirements/torch.txt")
    chain, target = [], shared.removeprefix("SHARED=")
    while target in parents:
        chain = installed[target] + chain
        target = parents[target]
    assert chain + [f"requirements/{name}.txt" for name in add.removeprefix("ADD=").split()] == files(stage)


def test_stages_share_what_the_dockerfile_can_share(build: ModuleType) -> None:
    wanted = {"prepare": "sources", "gate": "data", "register": "base"} | dict.fromkeys(COMPUTES, "models")
    picked = {stage: build.package_options(stages()[stage].requirements)[1] for stage in wanted}
    assert picked == {stage: f"SHARED={target}" for stage, target in wanted.items()}


def test_the_build_knows_every_stage_with_its_requirements_and_bound(build: ModuleType) -> None:
    assert build.declared_stages() == {
        name: {"name": name, "requirements": stage.requirements, "image_megabytes": stage.image_megabytes}
        for name, stage in stages().items()
    }
    assert all(stage.image_megabytes > 0 for stage in stages().values())


def test_every_requirement_is_pinned() -> None:
    pinned = {canonicalize_name(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().split("\n")}
    names = {
        canonicalize_name(Requirement(line).name)
        for file in (ROOT / "requirements").glob("*.txt")
        for line in file.read_text().split("\n")
        if line
    }
    assert names <= pinned


def test_what_is_pinned_installs_on_every_python_3_11() -> None:
    """Debian 12 has 3.11.2: a package that asks for a later patch can't be installed there."""
    asked = {one.metadata["Name"]: one.metadata.get("Requires-Python", "") for one in metadata.distributions()}
    assert {name: python for name, python in asked.items() if "3.11.0" not in SpecifierSet(python)} == {}


@pytest.mark.parametrize(("torch", "label"), [("cpu", "+cpu"), ("cuda", "")])
def test_the_build_argument_says_which_torch_is_installed(torch: str, label: str, tmp_path: Path) -> None:
    """The client stands in for Docker's: it records its arguments and builds nothing."""
    client = tmp_path / "docker"
    client.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ntest "$1" = --version && echo version 20.10.24\n')
    client.chmod(0o755)
    result = subprocess.run(
        [sys.executable, ROOT / "docker" / "build.py", "unlearn", "--torch", torch],
        env=os.environ | {"DOCKER": str(client)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1 and "viker-unlearn" in result.stderr
    (call,) = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("build ")]
    (pinned,) = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f" TORCH={pinned}{label} " in call
    (layer,) = [line for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines() if '"torch===' in line]
    assert '"torch===${TORCH}"' in layer


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    result = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--no-color", ROOT / "docker" / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr
