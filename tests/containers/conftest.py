"""The images, built once, and the means to run a stage in one as a cluster would: not root, nothing writable."""

import os
import shutil
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.contract.stages import stages

ROOT = Path(__file__).parents[2]
STAGES = tuple(stages())
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host")
Done = subprocess.CompletedProcess[str]


def docker(*arguments: str, check: bool = True) -> Done:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        pytest.fail(f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def image(stage: str) -> str:
    return f"viker-{stage}:{VERSION}"


def build(*arguments: str, root: Path = ROOT) -> Done:
    command = [sys.executable, str(root / "docker" / "build.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def images() -> str:
    """All images of this work tree; what the build printed."""
    if shutil.which("docker") is None or docker("info", check=False).returncode:
        pytest.skip("no Docker engine answers")
    built = build()
    assert built.returncode == 0, built.stdout + built.stderr
    print(built.stdout)
    return built.stdout


def shared_folder(path: Path) -> Path:
    """A folder that the images' user may write to as well."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)
    return path


def small_params(changes: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """The demo's parameters, with a model that is far too small, and trained far too briefly, to be any good."""
    params: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    params["prepare"]["base_set"] = True
    params["finetune"] |= {"deployed_model": None, "base_steps": 10, "memorise_epochs": 1}
    params["finetune"]["model"] |= {"vision_width": 32, "vision_layers": 1, "width": 32, "layers": 2, "heads": 2}
    params["unlearn"] |= {"epochs": 8, "retain_batch_size": 4, "checkpoint_steps": 3}
    params["threads"] = 1
    for attack in params["evaluate"]["attacks"].values():
        attack["questions"] = 6
    for name in ("relearn_forget", "relearn_retain"):
        params["evaluate"]["attacks"][name]["steps"] = [1]
    for section, values in (changes or {}).items():
        params[section] |= values
    return params


@pytest.fixture(scope="session")
def run_stage(images: str) -> Callable[..., Done]:
    """Run a stage's program in its image on ``work``, which has the same path inside."""

    def run(stage: str, work: Path, *arguments: str, options: tuple[str, ...] = (), check: bool = True) -> Done:
        where = ("--volume", f"{work}:{work}", "--workdir", str(work), "--env", f"VIKER_TRACKING_DIR={work}/tracking")
        command = ("python", "-m", f"components.{stage}", *arguments)
        return docker("run", "--rm", *HARDENED, *where, *options, image(stage), *command, check=check)

    return run


@pytest.fixture(scope="session")
def chain(run_stage: Callable[..., Done], small_description: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stages up to evaluate, each in its image, on fewer people than the demo's."""
    work = shared_folder(tmp_path_factory.mktemp("chain") / "work")
    shutil.copy(small_description, work / "people.yaml")
    write_params(work, small_params({"prepare": {"source": "people.yaml", "forget_share": 0.2}}))
    for stage in ("prepare", "finetune", "sample", "unlearn", "evaluate"):
        done = run_stage(stage, work)
        print(stage, done.stdout[-300:])
    return work


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"viker-{uuid.uuid4().hex[:12]}"
    docker("volume", "create", name)
    yield name
    docker("volume", "rm", "--force", name)


def wait_for_checkpoint(name: str) -> int:
    """Wait until the container has written a checkpoint to its volume; return the newest step."""
    script = "ls -d /cache/unlearn/*/seals/checkpoint-*.json 2>/dev/null"
    for _ in range(600):
        found = docker("exec", name, "sh", "-c", script, check=False).stdout.split()
        if found:
            return max(int(path.split("checkpoint-")[1].split(".")[0]) for path in found)
        if docker("inspect", "--format", "{{.State.Running}}", name).stdout.strip() != "true":
            pytest.fail(f"it ended before its first checkpoint:\n{docker('logs', name, check=False).stderr[-3000:]}")
        time.sleep(0.1)
    pytest.fail("no checkpoint in a minute")


def write_params(work: Path, params: dict[str, Any]) -> None:
    YAML().dump(params, work / "params.yaml")


def everywhere(path: Path) -> None:
    """Let the images' user write below ``path``, whoever made what is there."""
    for folder, _, files in os.walk(path):
        Path(folder).chmod(0o777)
        for file in files:
            (Path(folder) / file).chmod(0o666)
