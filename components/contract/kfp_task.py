"""A stage's program as a task of Kubeflow Pipelines, or of Airflow.

``python -m components.contract.kfp_task INPUT MODULE ARGUMENTS``.
``INPUT`` is the JSON of ``{{$}}``: the values and files that the task is given and the places for what it writes. This
runs ``MODULE`` with ``ARGUMENTS``, and with those under the key ``arguments`` of ``INPUT``. It adds what differs
between a task and a run in a work tree:

- VIKER_RUN in the environment is the run's ID: what the tasks tell MLflow, and note of how they ended, belongs together
  by it. In Kubeflow it comes from the pod's label, as it would make every task's cache key its own;
- ``{inputs}`` in an argument becomes the hash of what the task is given: where a task that was killed finds its state;
- the input ``params``, the sections that the stage reads, laid over the params.yaml of the current folder;
- for the page of Kubeflow and for the tasks that follow, metadata of each file written, and output parameters: one
  that is called ``version`` is the value of that key in the JSON files that the stage wrote;
- the result ``outcome`` of a task on a GPU node: DONE, or what is wrong with what the user gave. Then the task itself
  ends well, as the engine would try it again on a GPU with the same end; the pipeline stops behind it.
"""

import json
import os
import runpy
import shutil
import signal
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.contract.ended import note, note_refusal
from viker.core import console
from viker.core.errors import UserError
from viker.core.files import sha256_json, sha256_path, write_json
from viker.core.nested import flatten, main_metrics
from viker.core.settings import read_yaml

CACHE = "/cache"
"""Where every task finds the volume for what is fetched once (model weights, sources) and for checkpoints."""
COMMAND = ["python", "-m", "components.contract.kfp_task", "{{$}}"]
"""What starts a task's container; Kubeflow puts the task's input in."""
OUTCOME, DONE = "outcome", "done"
NULL = "null"
OURS = "components."
REFUSED = "refused.json"
"""In place of what a task that was given something wrong would have written."""


def image(stage: str) -> str:
    """Return the name of a stage's image as it is built here; a deployment names registry and tag, or the digest."""
    try:
        return f"viker-{stage}:{version('viker')}"
    except PackageNotFoundError:
        return f"viker-{stage}:latest"


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with ``changes`` laid over them: sections into sections, anything else as a whole."""
    both = dict(values)
    for key, value in changes.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return both


def to_struct(value: Any, null: Any = None, other: Any = NULL) -> Any:
    """Return ``value`` with every null as the text "null": Kubeflow's SDK takes no null inside a struct."""
    if isinstance(value, dict):
        return {key: to_struct(item, null, other) for key, item in value.items()}
    if isinstance(value, list):
        return [to_struct(item, null, other) for item in value]
    return other if value == null else value


def from_struct(value: Any) -> Any:
    """Undo ``to_struct``."""
    return to_struct(value, NULL, None)


def parse(text: str) -> Any:
    """Parse the JSON of a task's input; a whole number is an int, though Kubeflow keeps all numbers as doubles."""
    return json.loads(text, parse_float=lambda digits: int(n) if (n := float(digits)).is_integer() else n)


def metadata(path: Path, kind: str) -> dict[str, Any]:
    """Return what Kubeflow shows of a file or folder: its hash and size, and the main facts of its JSON.

    Args:
        path: what a stage wrote.
        kind: the artifact's type, such as ``system.Metrics``, of which all main numbers are taken.
    """
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    facts: dict[str, Any] = {"sha256": sha256_path(path), "bytes": sum(file.stat().st_size for file in files)}
    for file in [path] if path.is_file() else [path / "manifest.json", path / "summary.json"]:
        values = _json(file)
        if kind == "system.Metrics":
            values = {key: value for key, value in flatten(main_metrics(values)).items() if ".attacks." not in key}
        scalars = {key: value for key, value in values.items() if isinstance(value, str | int | float)}
        facts |= {key: value for key, value in scalars.items() if len(str(value)) < 200}
    return facts


def outputs(task: dict[str, Any]) -> dict[str, Any]:
    """Return what a task has written, as Kubeflow's executor output; files that are missing are left out.

    Raises UserError: an output parameter is in none of the JSON files.
    """
    written, artifacts, values = task.get("outputs", {}), dict[str, Any](), dict[str, Any]()
    _write_parts(written.get("artifacts", {}))
    for name, entry in written.get("artifacts", {}).items():
        artifact = dict(entry["artifacts"][0])
        path = _path(artifact)
        if path.exists():
            artifact["metadata"] = metadata(path, artifact.get("type", {}).get("schemaTitle", ""))
            artifacts[name] = {"artifacts": [artifact]}
            values |= _json(path) if path.is_file() else {}
    wanted = written.get("parameters", {})
    values.setdefault(OUTCOME, DONE)
    missing = sorted(set(wanted) - set(values))
    if missing:
        raise UserError(f"the stage wrote no {', '.join(missing)} into its JSON files: expected a key of that name.")
    return {"artifacts": artifacts, "parameterValues": {name: to_struct(values[name]) for name in wanted}}


def main(arguments: list[str]) -> None:
    """Run one task."""
    task_input, module, *rest = arguments
    task = parse(task_input)
    rest += task.get("arguments", [])
    run, program = os.environ.get("VIKER_RUN", ""), next(name for name in (module, *rest) if name.startswith(OURS))
    rest = [part for argument in rest for part in _with_lists(argument.replace("{inputs}", inputs_key(task)), task)]
    changes = task.get("inputs", {}).get("parameterValues", {}).get("params")
    with tempfile.TemporaryDirectory() as folder:
        if changes is not None:
            file = Path(folder) / "params.yaml"
            values = merged(read_yaml(Path("params.yaml"), "Run in the folder that has it."), from_struct(changes))
            with file.open("w", encoding="utf-8") as stream:
                YAML(typ="safe", pure=True).dump(values, stream)
            rest += ["--params", str(file)]
        sys.argv = [module, *rest]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if end.code:
                problem = end.problem if isinstance(end, console.UserExit) else ""
                note(run, program, {}, problem or f"ended with exit code {end.code}")
                if not problem or OUTCOME not in task["outputs"].get("parameters", {}):
                    raise
                print("This would fail again in the same way: it isn't tried again.", file=sys.stderr)
                for entry in task["outputs"].get("artifacts", {}).values():
                    if not (place := _path(entry["artifacts"][0])).exists():
                        write_json(place / REFUSED, {"error": problem})  # what reads it says so too
                note_refusal()
                _write_results(task, {OUTCOME: f"{program}: {problem}"})
                return
        except Exception as error:  # torch's launcher turns SIGTERM into a class that images without torch can't import
            if getattr(error, "sigval", None) == signal.SIGTERM:
                raise SystemExit(console.TERMINATED) from None
            raise
    written = outputs(task)
    _write_results(task, written["parameterValues"], written["artifacts"])
    note(run, program, written["parameterValues"])


def inputs_key(task: dict[str, Any]) -> str:
    """Return the hash of what a task is given: its values, and its files by their hash where it is known.

    It is the same for each attempt, and for a later run with the same inputs; other inputs have another.
    """
    given = task.get("inputs", {})
    files = {
        name: [one.get("metadata", {}).get("sha256") or one.get("uri") for one in entry["artifacts"]]
        for name, entry in given.get("artifacts", {}).items()
    }
    return sha256_json([given.get("parameterValues", {}), files])[:16]


def _with_lists(argument: str, task: dict[str, Any]) -> list[str]:
    """Return an argument; ``--NAME={each:INPUT}`` once for each artifact of a list, which has no place of its own."""
    option, _, name = argument.partition("={each:")
    if not name:
        return [argument]
    artifacts = task["inputs"]["artifacts"][name.removesuffix("}")]["artifacts"]
    return [f"{option}={_path(one)}" for one in artifacts]


def _write_results(task: dict[str, Any], results: dict[str, Any], artifacts: dict[str, Any] | None = None) -> None:
    file = Path(task["outputs"]["outputFile"])
    write_json(file, {"artifacts": artifacts or {}, "parameterValues": results})
    for name, place in task["outputs"].get("parameters", {}).items():
        if name not in results:  # of a task that was given something wrong there is the outcome alone
            continue
        value = results[name]
        file = Path(place["outputFile"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def _write_parts(artifacts: dict[str, Any]) -> None:
    """Copy the parts of what the stage wrote that are artifacts of their own to their places."""
    from components.contract.stages import parts

    for name in artifacts.keys() & parts().keys():
        whole, patterns = parts()[name]
        source, target = (_path(artifacts[one]["artifacts"][0]) for one in (whole, name))
        target.mkdir(parents=True, exist_ok=True)
        for file in (file for pattern in patterns for file in source.glob(pattern)):
            shutil.copy(file, target / file.name)


def _path(artifact: dict[str, Any]) -> Path:
    """Return where an artifact lies in the container: the launcher mounts ``s3://`` at /s3, and so on."""
    uri = str(artifact.get("customPath") or artifact["uri"])
    scheme, separator, rest = uri.partition("://")
    return Path("/") / {"gs": "gcs"}.get(scheme, scheme) / rest if separator else Path(uri)


def _json(path: Path) -> dict[str, Any]:
    if path.suffix not in ("", ".json") or not path.is_file() or path.stat().st_size > 1 << 24:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # neither UTF-8 nor JSON
        return {}
    return values if isinstance(values, dict) else {}


if __name__ == "__main__":
    console.run(lambda: main(sys.argv[1:]))
