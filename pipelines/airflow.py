"""What the DAG of Airflow reads of the pipeline: deploy/airflow/tasks.json, made from the stages' declarations."""

import json
from pathlib import Path
from typing import Any

from components.contract.kfp_task import OUTCOME
from components.contract.stages import Option, Stage, artifacts, stages

TASKS = Path("deploy/airflow/tasks.json")
"""Next to the DAG, which reads it."""
COLLECTED = {"pending": "collected/pending.json", "start": "collected/start"}
"""Where 'collect' puts what stages ask for; an ask for anything else has its default in Airflow."""
ENDED = "ended.json"


def airflow_tasks() -> str:
    """Return the JSON: the tasks in their order.

    Of each: ``image`` (the stage in whose image it runs), ``program``, ``arguments`` by option, each a text, or in
    ``expressions`` what Airflow's templates compute, ``flags``, ``after`` (what it waits for), ``large`` (whether it
    loads the model), ``params`` (whose parameters of resolve's it is given), and ``outputs``, where its results and
    files go, as a task of Kubeflow is told.
    """
    described = [_resolve(), _collect(), *(_stage(stage) for stage in stages().values())]
    described += [
        _around(
            "promote", ["gate", "register"], {"out": "metrics/promoted.json"}, results=["version"], params="register"
        ),
        _around(
            "close",
            ["promote"],
            {"out": "closed.json"},
            {"requests": _of("resolve", "folder"), "version": _of("promote", "version")},
            files={"closed": "closed.json"},
        ),
        _around(
            "purge",
            ["close", "report"],
            {"out": "metrics/purged.json"},
            {"requests": _of("resolve", "folder")},
            image="prepare",
            params="register",
            program="components.privacy.by_policy",
        ),
        _around(
            "finish",
            [],
            {"status": '{"state": "UNKNOWN"}', "page": "ended.md", "out": ENDED},
            {"run": "viker_run(run_id)", "requests": "params.requests or ''"},
            files={"ended": ENDED},
        ),
    ]
    return json.dumps(described, indent=2) + "\n"


def _of(task: str, result: str) -> str:
    return f"values_of(ti, '{task}')['{result}']"


def _around(
    name: str,
    after: list[str],
    arguments: dict[str, str],
    expressions: dict[str, str] | None = None,
    results: list[str] | None = None,
    files: dict[str, str] | None = None,
    image: str = "register",
    params: str | None = None,
    program: str = "",
) -> dict[str, Any]:
    files = files if files is not None else {name: f"metrics/{name}d.json"}
    return {
        "task": name,
        "image": image,
        "program": program or f"components.{image}.{name}",
        "arguments": arguments,
        "expressions": expressions or {},
        "flags": [],
        "after": after,
        "large": False,
        "params": params,
        "outputs": _outputs(name, [OUTCOME, *(results or [])], files),
    }


def _outputs(task: str, results: list[str], files: dict[str, str]) -> dict[str, Any]:
    return {
        "outputFile": f"results/{task}.json",
        "parameters": {name: {"outputFile": f"results/{task}/{name}"} for name in dict.fromkeys(results)},
        "artifacts": {name: {"artifacts": [{"name": name, "uri": path}]} for name, path in files.items()},
    }


def _resolve() -> dict[str, Any]:
    given = ("source", "revision", "requests", "model", "policy")
    expressions = {name: f"params.{name} or ''" for name in given} | {"only-requests": "params.only_requests"}
    texts = ("work", "folder", "state", "requests_sha256", "champion", "refusals", "model_name")
    files = {"resolved": "resolved.json"}
    return _around("resolve", [], {"out": "resolved.json"}, expressions, [*texts, *stages()], files, "prepare", "")


def _collect() -> dict[str, Any]:
    given = {"requests": "folder"} | {name: name for name in ("requests_sha256", "champion", "model_name")}
    expressions = {option.replace("_", "-"): _of("resolve", name) for option, name in given.items()}
    return _around("collect", ["resolve"], COLLECTED, expressions, files=COLLECTED)


def _stage(stage: Stage) -> dict[str, Any]:
    arguments, flags = {}, []
    for name, (_, what) in stage.declared().items():
        option = name.replace("_", "-")
        if isinstance(what, Option) and what.engine is False:
            flags.append(f"--no-{option}")
        elif isinstance(what, Option) and what.engine in COLLECTED:
            arguments[option] = COLLECTED[what.engine]
    files = {output.artifact: output.path for output in stage.outputs().values()}
    return {
        "task": stage.name,
        "image": stage.name,
        "program": f"components.{stage.name}",
        "arguments": arguments,
        "expressions": {},
        "flags": flags,
        "after": sorted({artifacts()[what.artifact][0] for what in stage.inputs().values()}) or ["collect"],
        "large": stage.loads_model,
        "params": stage.name,
        "outputs": _outputs(stage.name, [OUTCOME, *(name for name, _ in stage.results)], files),
    }
