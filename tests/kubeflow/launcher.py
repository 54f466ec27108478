"""A double of what runs a task's container in Kubeflow Pipelines: driver and launcher.

It leaves what they leave. Sources: kubeflow/pipelines, tag 2.17.0, paths below backend/src/v2.

- Of a container's command and arguments the launcher fills in ``{{$}}``, inputs and outputs, and nothing else; the
  run's ID comes into inputs alone, where a task's input is that placeholder as a whole
  (component/launcher_v2.go, getPlaceholders and compileCmdAndArgs; driver/resolve.go, resolveInputParameter).
- Every artifact of every input is downloaded before each attempt (launcher_v2.go, downloadArtifacts).
- A file that was not written is no error, a result that was not written is (uploadOutputArtifacts,
  collectOutputParameters). A task that fails hands on nothing.
- The cache is keyed by the IDs of the artifacts, the values, what is written, command and arguments as they are before
  anything is filled in, image and claims; not by environment or fields of the pod (cacheutils/cache.go,
  GenerateCacheKey; driver/cache.go).
- The container's process is the launcher's child without its signals: SIGTERM ends the launcher, and the kernel ends
  the process with SIGKILL when the container goes (launcher_v2.go, execute: exec.Command, no signal.Notify).
- Linux refuses an argument of 128 KiB or more (include/uapi/linux/binfmts.h, MAX_ARG_STRLEN).
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_ARG_STRLEN = 131_072
RUN_LABEL = "metadata.labels['pipeline/runid']"
"""Kubeflow's label on the pods of a run (backend/src/apiserver/template/v2_template.go, SetPodMetadataLabels)."""


@dataclass
class Attempt:
    """One pod: what its container is started with, and what it may use."""

    task: str
    command: list[str]
    environment: dict[str, str]
    input: dict[str, Any]
    image: str
    gpus: int
    number: int
    """0 for the first attempt."""
    downloaded: dict[str, int] = field(default_factory=dict)
    """Bytes by input."""
    seconds: float = 1.0
    """How long it takes; a stand-in for the program may change it."""
    code: int | None = None
    """None: it was killed, and reported nothing."""

    def outputs(self) -> dict[str, Path]:
        """Return where the container is to write its artifacts."""
        artifacts = self.input["outputs"]["artifacts"]
        return {name: Path(entry["artifacts"][0]["customPath"]) for name, entry in artifacts.items()}

    def inputs(self) -> dict[str, Path]:
        """Return where its inputs lie; of a list, the first."""
        artifacts = self.input["inputs"]["artifacts"]
        return {name: Path(entry["artifacts"][0]["customPath"]) for name, entry in artifacts.items()}


def on_this_host(cache: Path, kill_after: float | None = None) -> Callable[[Attempt], int | None]:
    """Return what runs a container's command here, ``cache`` in place of the volume; killed after so many seconds."""

    def run(attempt: Attempt) -> int | None:
        command = [part.replace("=/cache/", f"={cache}/") for part in attempt.command]
        environment = os.environ | attempt.environment | {"VIKER_TRACKING_DIR": str(cache / "tracking")}
        process = subprocess.Popen([sys.executable, *command[1:]], env=environment, start_new_session=True)
        try:
            return process.wait(kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    return run


def filled(part: str, task_input: dict[str, Any]) -> str:
    """Return a part of a command as the launcher fills it in."""
    text = part.replace("{{$}}", json.dumps(task_input))
    for kind in ("inputs", "outputs"):
        for name, entry in task_input[kind].get("artifacts", {}).items():
            first = entry["artifacts"][0]
            text = text.replace(f"{{{{$.{kind}.artifacts['{name}'].path}}}}", first["customPath"])
            text = text.replace(f"{{{{$.{kind}.artifacts['{name}'].uri}}}}", first["uri"])
    for name, value in task_input["inputs"].get("parameterValues", {}).items():
        shown = value if isinstance(value, str) else json.dumps(value)
        text = text.replace(f"{{{{$.inputs.parameters['{name}']}}}}", shown)
    for name, place in task_input["outputs"].get("parameters", {}).items():
        text = text.replace(f"{{{{$.outputs.parameters['{name}'].output_file}}}}", place["outputFile"])
    return text


def fingerprint(component: dict, container: dict, values: dict, artifacts: dict, claims: list[str]) -> str:
    """Return the key of the cache."""
    key = {
        "artifacts": {name: [one["name"] for one in entries] for name, entries in artifacts.items()},
        "values": values,
        "outputs": component.get("outputDefinitions", {}),
        "command": [*container.get("command", ()), *container.get("args", ())],
        "image": container["image"],
        "claims": sorted(claims),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def executor_input(folder: Path, component: dict, values: dict, artifacts: dict, uri: str) -> dict[str, Any]:
    """Download the inputs below ``folder`` and return what the launcher gives for ``{{$}}``.

    Raises FileNotFoundError: an artifact was never written.
    """
    given: dict[str, Any] = {}
    for name, entries in artifacts.items():
        for number, entry in enumerate(entries):
            local = folder / "inputs" / name / str(number) / Path(entry["stored"]).name
            local.parent.mkdir(parents=True)
            copy(Path(entry["stored"]), local)
            one = {key: value for key, value in entry.items() if key != "stored"} | {"customPath": str(local)}
            given.setdefault(name, {"artifacts": []})["artifacts"].append(one)
    written = component.get("outputDefinitions", {})
    places = {
        name: {
            "artifacts": [
                {
                    "name": name,
                    "uri": f"{uri}/{name}",
                    "type": {"schemaTitle": definition["artifactType"]["schemaTitle"]},
                    "customPath": str(folder / "outputs" / name),
                }
            ]
        }
        for name, definition in written.get("artifacts", {}).items()
    }
    parameters = {name: {"outputFile": str(folder / "results" / name)} for name in written.get("parameters", {})}
    for name in ("outputs", "results"):
        (folder / name).mkdir(parents=True)
    return {
        "inputs": {"parameterValues": values, "artifacts": given},
        "outputs": {"artifacts": places, "parameters": parameters, "outputFile": str(folder / "output_metadata.json")},
    }


def collected(attempt: Attempt, component: dict, store: Path, number: Callable[[], int]) -> dict[str, dict]:
    """Upload what a container that ended well has written; return its artifacts and results.

    Raises FileNotFoundError: a result was not written.
    """
    file = Path(attempt.input["outputs"]["outputFile"])
    said = json.loads(file.read_text()) if file.exists() else {}
    made: dict[str, dict] = {"artifacts": {}, "parameters": {}}
    for name, entry in attempt.input["outputs"]["artifacts"].items():
        one, identity = entry["artifacts"][0], number()
        merged = one | {"metadata": said.get("artifacts", {}).get(name, {}).get("artifacts", [{}])[0].get("metadata")}
        place = store / str(identity) / name
        if Path(one["customPath"]).exists():
            place.parent.mkdir(parents=True)
            copy(Path(one["customPath"]), place)
        merged = {key: value for key, value in merged.items() if value is not None and key != "customPath"}
        made["artifacts"][name] = [merged | {"name": str(identity), "stored": str(place)}]
    kinds = component.get("outputDefinitions", {}).get("parameters", {})
    for name, place in attempt.input["outputs"]["parameters"].items():
        if name in said.get("parameterValues", {}):
            made["parameters"][name] = said["parameterValues"][name]
            continue
        text = Path(place["outputFile"]).read_text()
        made["parameters"][name] = text if kinds[name]["parameterType"] == "STRING" else json.loads(text)
    return made


def copy(source: Path, target: Path) -> None:
    """Copy a file or folder, as through an object store: an empty folder doesn't arrive."""
    if source.is_dir() and any(source.rglob("*")):
        shutil.copytree(source, target)
    elif not source.is_dir():
        shutil.copy(source, target)


def size(path: Path) -> int:
    """Return the bytes of a file or folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
