"""Build, check and push the images, one a stage: ``python docker/build.py --help``. Needs Python and Docker alone."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from pip_settings import secrets

ROOT = Path(__file__).resolve().parents[1]
BOUNDS = {
    "prepare": 1200,
    "finetune": 1900,
    "sample": 1200,
    "unlearn": 1900,
    "evaluate": 2100,
    "gate": 800,
    "register": 650,
    "report": 950,
}
"""Megabytes (10^6 bytes, uncompressed) that an image may have with torch's CPU build; what it has: docs/images.md."""
CUDA = 4500
"""Megabytes that CUDA's libraries may add to an image with torch."""
WITH_TORCH = ("finetune", "unlearn", "evaluate")


def main() -> None:
    """Build what is asked for; exit with 1 where an image is too large or its health line fails."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parser = argparse.ArgumentParser(prog="docker/build.py", description=(__doc__ or "").partition(":")[0])
    parser.add_argument(
        "stages", nargs="*", metavar="STAGE", help=f"one of {', '.join(BOUNDS)}; all where none is named"
    )
    parser.add_argument("--registry", default="", help="put before the names: REGISTRY/viker-STAGE:TAG")
    parser.add_argument("--tag", default=about["version"], help="default: the project's version, %(default)s")
    parser.add_argument("--torch", choices=("cpu", "cuda"), default="cpu", help="build of torch; default: %(default)s")
    parser.add_argument("--push", action="store_true", help="push them as well, and print their digests")
    asked = parser.parse_args()
    if unknown := set(asked.stages) - set(BOUNDS):
        parser.error(f"no such stage: {', '.join(sorted(unknown))}; there are {', '.join(BOUNDS)}")
    if asked.push and not asked.registry:
        parser.error("--push needs --registry: where to push to")

    stages = asked.stages or list(BOUNDS)
    names = {
        stage: f"{asked.registry.rstrip('/') + '/' if asked.registry else ''}viker-{stage}:{asked.tag}"
        for stage in stages
    }
    docker = find_docker()
    arguments = ["--build-arg", f"TORCH={torch_version(asked.torch)}", "--build-arg", f"VERSION={about['version']}"]
    arguments += ["--build-arg", f"COMMIT={commit()}"]
    problems = []
    with secrets() as secret:
        for stage, name in names.items():
            started = time.monotonic()
            build(docker, stage, name, arguments + secret)
            seconds = time.monotonic() - started
            bound = BOUNDS[stage] + (CUDA if asked.torch == "cuda" and stage in WITH_TORCH else 0)
            size = int(output(docker, "image", "inspect", "--format", "{{.Size}}", name)) / 1e6
            print(f"{name:40} {size:6.0f} MB of {bound:5d} MB   {seconds:5.0f} s", flush=True)
            if size > bound:
                problems.append(f"{name} has {size:.0f} MB, more than its bound of {bound} MB")
            if not healthy(docker, stage, name):
                problems.append(f"{name}: 'python -m components.{stage} --help' fails in it")
    if problems:
        sys.exit("error: " + "\n       ".join(problems))
    for name in names.values() if asked.push else ():
        subprocess.run([docker, "push", "--quiet", name], check=True)
        print(output(docker, "image", "inspect", "--format", "{{index .RepoDigests 0}}", name), flush=True)


def build(docker: str, stage: str, name: str, arguments: list[str]) -> None:
    """Build one image; its output is shown only where it fails."""
    command = [docker, "build", "--network=host", "--progress=plain", "--file", str(ROOT / "docker" / "Dockerfile")]
    command += ["--build-arg", f"STAGE={stage}", "--tag", name, *arguments, str(ROOT)]
    done = subprocess.run(
        command, env=os.environ | {"DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}{done.stderr[-8000:]}\nerror: {name} could not be built; see above")


def healthy(docker: str, stage: str, name: str) -> bool:
    """Tell whether the stage starts as it will run: read-only, without network, as the image's user."""
    command = [docker, "run", "--rm", "--read-only", "--network=none", "--tmpfs=/tmp", "--cap-drop=ALL", name]
    done = subprocess.run(
        [*command, "python", "-m", f"components.{stage}", "--help"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return done.returncode == 0


def find_docker() -> str:
    """Return the Docker client to build with: $DOCKER, or the first on PATH that speaks BuildKit.

    Up to version 22 the client has BuildKit in it, from 23 on it comes as the plugin buildx.
    """
    asked = os.environ.get("DOCKER", "docker")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    clients = [found for folder in folders if (found := shutil.which(asked, path=folder))] or [asked]
    for client in dict.fromkeys(clients):
        version = re.search(r"version (\d+)", output(client, "--version"))
        if (version and int(version[1]) < 23) or output(client, "buildx", "version"):
            return client
    sys.exit(
        f"error: '{asked}' is not there, or has no BuildKit. Install Docker with its plugin buildx, or name a client "
        "that has it: DOCKER=/path/to/docker."
    )


def torch_version(build: str) -> str:
    """Return the version of constraints.txt, with the label of the CPU build where that is asked for."""
    version = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if version is None:
        sys.exit("error: constraints.txt pins no torch; add a line torch==VERSION")
    return f"{version[1]}+cpu" if build == "cpu" else version[1]


def commit() -> str:
    """Return the commit of the work tree, with '-dirty' where something of it differs; 'unknown' without git."""
    found = output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    changed = output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return f"{found}{'-dirty' if changed else ''}" if found else "unknown"


def output(*command: str) -> str:
    """Return what a command prints; nothing where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    main()
