"""A work tree whose whole pipeline takes seconds a stage: few people, a tiny model, hardly any training."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.small_project import MODEL, smaller
from components.contract.stages import stages

ROOT = Path(__file__).parents[3]
STAGES = tuple(stages())


def small_tree(folder: Path, **unlearn: Any) -> Path:
    """Make a work tree at ``folder``, under git, with changes to the section 'unlearn'."""
    text = smaller((ROOT / "components/prepare/embedded.yaml").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.yaml").write_text(text)
    (folder / "requests").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("viker", "components", "pipelines"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    change(folder, prepare={"source": "small.yaml", "base_set": True})
    small = {"deployed_model": None, "model": MODEL, "base_steps": 20, "memorise_epochs": 1, "batch_size": 16}
    change(folder, finetune=small)
    change(folder, unlearn={"epochs": 2, "checkpoint_steps": 4, "retain_batch_size": 2} | unlearn)
    attacks = read(folder)["evaluate"]["attacks"]
    change(folder, evaluate={"attacks": {name: values | {"enabled": False} for name, values in attacks.items()}})
    change(folder, evaluate={"max_new_tokens": 4, "processes": 1})
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "params.yaml", "small.yaml", "dvc.yaml", ".gitignore", ".dvcignore"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "a tree"], check=True)
    return folder


def read(folder: Path) -> Any:
    return YAML(typ="safe").load(folder / "params.yaml")


def change(folder: Path, **sections: Any) -> None:
    """Lay values over sections of the tree's params.yaml."""
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for name, values in sections.items():
        if isinstance(values, dict):
            params[name] |= values
        else:
            params[name] = values
    yaml.dump(params, folder / "params.yaml")


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a user's shell, with tracking on."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("VIKER_TRACKING", "MLFLOW_TRACKING_URI")
    }
    return inherited | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more


def start(folder: Path, stage: str, *options: str, **more: str) -> "subprocess.Popen[str]":
    return start_python(folder, "-m", f"components.{stage}", *options, **more)


def run(folder: Path, stage: str, *options: str, **more: str) -> str:
    """Run a stage and return what it wrote to standard error."""
    return ended(start(folder, stage, *options, **more))


def run_chain(folder: Path, *commands: str, **more: str) -> str:
    """Run stages one after the other in one process, each with its options; return what they wrote to standard error.

    Starting a process and importing torch takes longer than most of these stages.
    """
    return ended(start_python(folder, "-c", CHAIN, *commands, **more))


CHAIN = """
import importlib, sys
from viker.core import console
console.quiet_libraries()
for command in sys.argv[1:]:
    stage, *options = command.split()
    importlib.import_module(f"components.{stage}.__main__").app(options, standalone_mode=False)
"""


def start_python(folder: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment(**more), **pipes)


def ended(process: "subprocess.Popen[str]") -> str:
    """Wait for a process that must end well; return what it wrote to standard error."""
    try:
        out, err = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, f"{process.args}\n{out[-2000:]}\n{err[-4000:]}"
    return err


def start_command(tree: Path, command: str, *options: str) -> "subprocess.Popen[str]":
    """Start a command of ``viker`` in a session of its own, so that it can be killed with all that it has begun."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli.main", command, *options],
        cwd=tree,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
