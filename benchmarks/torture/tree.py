"""A small project that has run once, copies of it to hurt, and what must hold of a copy afterwards."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.small_project import MODEL, POLICY, smaller
from components.contract.stages import Output, stages
from viker.core.files import sha256_bytes, sha256_path

ROOT = Path(__file__).parents[2]
VOLATILE = ("validation", "metrics/register.json", "report/report.html", "report/evidence.zip")
"""Outputs that name times, or runs of MLflow: they must be there, but have other bytes each time."""


@dataclass
class Tree:
    """A work tree in which the stages run as ``python -m components.STAGE``, with MLflow's database in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, stage: str) -> list[str]:
        """Return the command of a stage, as dvc.yaml has it."""
        return [sys.executable, "-m", f"components.{stage}"]

    def start(self, command: list[str], **options: Any) -> "subprocess.Popen[str]":
        """Start a command in the tree, in a process group of its own."""
        environment = os.environ | {
            "PYTHONPATH": str(self.folder),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        environment |= self.environment
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **options,
        )

    def run(self, command: list[str], **options: Any) -> tuple[int, str]:
        """Run a command to its end; return exit code and output."""
        process = self.start(command, **options)
        out, _ = process.communicate()
        return process.returncode, out or ""

    def outputs(self, stage: str) -> list[Path]:
        """Return the paths of a stage's outputs."""
        declared = (argument for _, argument in stages()[stage].declared().values())
        return [self.folder / argument.path for argument in declared if isinstance(argument, Output)]

    def hashes(self, stage: str) -> dict[str, str]:
        """Return the SHA-256 of a stage's outputs that are there, by path; "" for those that are ``VOLATILE``."""
        there = {str(path.relative_to(self.folder)): path for path in self.outputs(stage) if path.exists()}
        return {name: "" if name in VOLATILE else _digest(path) for name, path in there.items()}

    def clear(self, first: str) -> None:
        """Remove the outputs of a stage and of all after it."""
        names = list(stages())
        for stage in names[names.index(first) :]:
            for path in self.outputs(stage):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Reference:
    """A tree that has run undisturbed: what its outputs must be, and how long each stage took."""

    tree: Tree
    hashes: dict[str, dict[str, str]]
    seconds: dict[str, float]

    @contextmanager
    def copy(self, name: str, first: str | None = None) -> Iterator[Tree]:
        """Yield a copy in which ``first`` and what follows it have not run; it is removed afterwards."""
        folder = self.tree.folder.with_name(name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.tree.folder, folder, symlinks=True)
        tree = Tree(folder)
        if first is not None:
            tree.clear(first)
            if first != "report":
                (folder / "mlflow.db").unlink(missing_ok=True)
        try:
            yield tree
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def torn(self, tree: Tree, stage: str) -> list[str]:
        """Return the outputs of a stage that are there but are not those of the undisturbed run."""
        return [path for path, digest in tree.hashes(stage).items() if digest != self.hashes[stage][path]]

    def missing(self, tree: Tree, stage: str) -> list[str]:
        """Return the outputs of a stage that the undisturbed run has and the tree lacks."""
        return [path for path in self.hashes[stage] if not (tree.folder / path).exists()]


def build(folder: Path) -> Reference:
    """Copy the project into ``folder``, make it small, and run all stages once."""
    folder.mkdir(parents=True)
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, subprocess.run(listed, cwd=ROOT, capture_output=True, text=True).stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("docs/", "tests/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    description = folder / "components/prepare/embedded.yaml"
    description.write_text(smaller(description.read_text(encoding="utf-8")), encoding="utf-8")
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["threads"] = 1
    params["prepare"]["base_set"] = True
    params["finetune"] |= {"deployed_model": None, "base_steps": 4, "memorise_epochs": 2}
    params["finetune"]["model"] |= MODEL
    params["unlearn"] |= {"epochs": 2, "checkpoint_steps": 2}
    params["evaluate"]["max_new_tokens"] = 4
    for name, attack in params["evaluate"]["attacks"].items():
        attack["enabled"] = name in ("paraphrase", "text_only")
    params["gate"] |= {"policy": POLICY, "rules": []}
    yaml.dump(params, folder / "params.yaml")
    tree = Tree(folder)
    for command in (("git", "init", "-q"), ("git", "add", "-A"), (*_AUTHOR, "commit", "-q", "-m", "small")):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    seconds, hashes = {}, {}
    for stage in stages():
        began = time.perf_counter()
        code, out = tree.run(tree.command(stage))
        if code:
            raise RuntimeError(f"{stage} exited with {code}:\n{out[-3000:]}")
        seconds[stage] = time.perf_counter() - began
        hashes[stage] = tree.hashes(stage)
    return Reference(tree, hashes, seconds)


_AUTHOR = ("git", "-c", "user.name=torture", "-c", "user.email=torture@localhost")


def _digest(path: Path) -> str:
    if path.is_file():
        return sha256_path(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return sha256_bytes("".join(f"{p.relative_to(path)}\0{sha256_path(p)}\n" for p in files).encode())
