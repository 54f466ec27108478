"""Build, check and push the images, one per stage: ``python docker/build.py --help``. Needs only Python and Docker.

Not ``docker buildx bake``: it knows neither sizes nor health checks nor pip's settings, and not every client has it.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pip_settings import secrets
from sbom import write_sbom

ROOT = Path(__file__).resolve().parents[1]
CUDA_MEGABYTES = 4500
"""How much larger than its bound an image may be with the CUDA build of torch, in units of 10^6 bytes."""


def main() -> None:
    """Build the named stages; exit with 1 if an image is too large or its stage does not start."""
    stages = declared_stages()
    arguments = parse(stages)
    names = {stage: image_name(stage, arguments) for stage in arguments.stages or stages}
    docker = find_docker()
    problems = []
    with secrets() as options:
        options += ["--build-arg", f"TORCH={torch_version(arguments.torch)}"]
        options += ["--build-arg", f"VERSION={project()['version']}", "--build-arg", f"COMMIT={commit()}"]
        for stage, name in names.items():
            start = time.monotonic()
            build(docker, stage, name, [*options, *package_options(stages[stage]["requirements"])])
            seconds = time.monotonic() - start
            with_cuda = arguments.torch == "cuda" and "torch" in stages[stage]["requirements"]
            bound = stages[stage]["image_megabytes"] + (CUDA_MEGABYTES if with_cuda else 0)
            size = int(output(docker, "image", "inspect", "--format", "{{.Size}}", name)) / 1e6
            print(f"{name:40} {size:6.0f} MB of {bound:5d} MB   {seconds:5.0f} s", flush=True)
            if size > bound:
                problems.append(f"{name} has {size:.0f} MB, more than its bound of {bound} MB")
            if not starts(docker, stage, name):
                problems.append(f"{name}: 'python -m components.{stage} --help' fails in it")
    if problems:
        sys.exit("error: " + "\n       ".join(problems))
    for name in names.values() if arguments.sbom else ():
        print(write_sbom(docker, name, project()["version"], commit(), arguments.sbom), flush=True)
    digests = {}
    for stage, name in names.items() if arguments.push else ():
        subprocess.run([docker, "push", "--quiet", name], check=True)
        pushed = output(docker, "image", "inspect", "--format", "{{index .RepoDigests 0}}", name)
        digests[stage] = pushed.partition("@")[2]
        print(pushed, flush=True)
    if digests and arguments.digests:
        arguments.digests.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def declared_stages() -> dict[str, dict[str, Any]]:
    """Return the literal arguments of each ``Stage(…)`` in components/*/stage.py; reading them needs no package."""
    stages = {}
    for path in sorted((ROOT / "components").glob("*/stage.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Stage":
                stage: dict[str, Any] = {"requirements": (), "image_megabytes": 0}
                declared = {str(k.arg): k.value for k in node.keywords if k.arg in ("name", *stage)}
                stage |= {name: ast.literal_eval(value) for name, value in declared.items()}
                stages[stage["name"]] = stage
    return stages


def package_options(requirements: Sequence[str]) -> list[str]:
    """Return the build arguments: which target of the Dockerfile has the most of the files, and those on top of it."""
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    parents = {target: parent for parent, target in re.findall(r"^FROM (\w+) AS (\w+)$", dockerfile, re.MULTILINE)}
    shared, rest = "base", list(requirements)
    while rest and parents.get(rest[0]) == shared:
        shared = rest.pop(0)
    return ["--build-arg", f"SHARED={shared}", "--build-arg", f"ADD={' '.join(rest)}"]


def parse(stages: dict[str, dict[str, Any]]) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(prog="docker/build.py", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"default: all; one of {', '.join(stages)}")
    parser.add_argument("--registry", default="", help="prefix of the names: REGISTRY/viker-STAGE:TAG")
    parser.add_argument("--tag", default=project()["version"], help="default: the project's version, %(default)s")
    parser.add_argument("--torch", choices=("cpu", "cuda"), default="cpu", help="build of torch; default: %(default)s")
    parser.add_argument("--push", action="store_true", help="also push the images, and print their digests")
    parser.add_argument("--digests", type=Path, help="write the pushed digests there, for 'viker pipeline compile'")
    parser.add_argument("--sbom", type=Path, help="write each image's bill of materials (CycloneDX) into that folder")
    arguments = parser.parse_args()
    if unknown := set(arguments.stages) - set(stages):
        parser.error(f"no such stage: {', '.join(sorted(unknown))}; there are {', '.join(stages)}")
    if arguments.push and not arguments.registry:
        parser.error("--push needs --registry: where to push to")
    return arguments


def image_name(stage: str, arguments: argparse.Namespace) -> str:
    """Return ``REGISTRY/viker-STAGE:TAG``, or ``viker-STAGE:TAG`` without a registry."""
    registry = f"{arguments.registry.rstrip('/')}/" if arguments.registry else ""
    return f"{registry}viker-{stage}:{arguments.tag}"


def build(docker: str, stage: str, name: str, options: list[str]) -> None:
    """Build one image; the output is shown only on failure."""
    command = [docker, "build", "--network=host", "--progress=plain", "--file", str(ROOT / "docker" / "Dockerfile")]
    command += ["--build-arg", f"STAGE={stage}", "--tag", name, *options, str(ROOT)]
    result = subprocess.run(
        command, env=os.environ | {"DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{result.stdout[-4000:]}{result.stderr[-8000:]}\nerror: {name} could not be built; see above")


def starts(docker: str, stage: str, name: str) -> bool:
    """Return whether the stage starts as it does in a cluster: read-only, without network, not as root."""
    command = [docker, "run", "--rm", "--read-only", "--network=none", "--tmpfs=/tmp", "--cap-drop=ALL", name]
    command += ["python", "-m", f"components.{stage}", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        print(result.stderr[-2000:], file=sys.stderr)
    return result.returncode == 0


def find_docker() -> str:
    """Return the Docker client to build with: $DOCKER, or the first on PATH with BuildKit.

    Up to version 22 the client has BuildKit built in; from 23 on it comes as the plugin buildx.
    """
    name = os.environ.get("DOCKER", "docker")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    clients = [client for folder in folders if (client := shutil.which(name, path=folder))] or [name]
    for client in dict.fromkeys(clients):
        version = re.search(r"version (\d+)", output(client, "--version"))
        if (version and int(version[1]) < 23) or output(client, "buildx", "version"):
            return client
    sys.exit(
        f"error: '{name}' is missing, or has no BuildKit. Install Docker with its plugin buildx, or name a client "
        "that has it: DOCKER=/path/to/docker."
    )


def project() -> dict[str, str]:
    """Return the section 'project' of pyproject.toml."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(pyproject["project"])


def torch_version(build: str) -> str:
    """Return torch's version in constraints.txt, with the label '+cpu' for the CPU build."""
    version = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if version is None:
        sys.exit("error: constraints.txt pins no torch; add a line torch==VERSION")
    return f"{version[1]}+cpu" if build == "cpu" else version[1]


def commit() -> str:
    """Return the commit of the work tree, with '-dirty' if tracked files differ from it; 'unknown' without git."""
    head = output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    changes = output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return f"{head}{'-dirty' if changes else ''}" if head else "unknown"


def output(*command: str) -> str:
    """Return what a command prints, stripped; an empty string if it fails or is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    main()
