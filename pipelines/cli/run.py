"""``viker run``: the pipeline by the engine of your choice, with the same outcome and exit codes."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import requests as http
import typer

from components.contract.ended import FAILED, GATE_FAILED, NOTHING, PASSED
from components.contract.stages import stages
from viker.core.console import ParamsOption, say
from viker.core.errors import UserError
from viker.core.files import read_json
from viker.core.manifest import read_manifest
from viker.core.settings import read_yaml

EXIT = {NOTHING: 0, PASSED: 0, GATE_FAILED: 3, FAILED: 1}
ENDPOINT, TOKEN = "AIRFLOW_ENDPOINT", "AIRFLOW_TOKEN"
HERE = ("source", "revision", "requests", "model", "policy")
"""What an engine elsewhere may be told; on this machine params.yaml says it."""


class Engine(StrEnum):
    """What runs the stages."""

    LOCAL = "local"
    DVC = "dvc"
    AIRFLOW = "airflow"
    KUBEFLOW = "kubeflow"


def run(
    engine: Annotated[Engine, typer.Option(help="What runs the stages.")] = Engine.DVC,
    params: ParamsOption = Path("params.yaml"),
    source: Annotated[str | None, typer.Option(help="The data, in place of prepare.source.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit or tag of the data.")] = None,
    requests: Annotated[str | None, typer.Option(help="The folder of forget requests.")] = None,
    model: Annotated[str | None, typer.Option(help="The deployed model.")] = None,
    policy: Annotated[str | None, typer.Option(help="The gate's policy.")] = None,
    only_requests: Annotated[bool, typer.Option("--only-requests", help="Nothing to do without a request.")] = False,
) -> None:
    """Run the pipeline: every stage in turn (*local*), those that are due (*dvc*), or in *airflow* or *kubeflow*.

    Exit codes: 0 the gate passed, or there was nothing to do; 3 the gate failed; 1 the run failed. Airflow is at
    *AIRFLOW_ENDPOINT*, with a bearer token in *AIRFLOW_TOKEN*; `viker pipeline` has more options for Kubeflow.
    """
    given = dict(zip(HERE, (source, revision, requests, model, policy), strict=True))
    if engine is Engine.KUBEFLOW:
        from pipelines.cli import pipeline

        pipeline.run(
            params,
            source=source,
            revision=revision,
            requests=requests,
            model=model,
            policy=policy,
            only_requests=only_requests,
            experiment="viker",
            wait=True,
            timeout=24,
            interval=10,
        )
        return
    if engine is Engine.AIRFLOW:
        outcome = _airflow(params, given, only_requests)
    else:
        if named := sorted(f"--{name}" for name, value in given.items() if value) + ["--only-requests"] * only_requests:
            raise UserError(f"{named[0]} is for airflow and kubeflow; here params.yaml says it, --engine is {engine}.")
        outcome = _here(engine, params)
    say(f"{engine}: {outcome}")
    raise typer.Exit(EXIT[outcome])


def _here(engine: Engine, params: Path) -> str:
    outputs = stages()["prepare"].outputs()["out"].path, stages()["gate"].outputs()["out"].path
    if engine is Engine.DVC:
        if params != Path("params.yaml"):
            raise UserError(
                f"--params is '{params}': DVC reads params.yaml of the work tree alone. Use --engine local."
            )
        _run("-m", "pipelines.cli.main", "repro")
    for stage in stages() if engine is Engine.LOCAL else ():
        options = ["--no-enforce"] if stage == "gate" else []
        _run("-m", f"components.{stage}", "--params", str(params), *options)
        if not read_manifest(Path(outputs[0]))["forget_ids"]:
            break
    if not read_manifest(Path(outputs[0]))["forget_ids"]:
        return NOTHING
    return PASSED if read_json(Path(outputs[1]), "gate")["verdict"] == "pass" else GATE_FAILED


def _run(*command: str) -> None:
    code = subprocess.run([sys.executable, *command], check=False).returncode  # noqa: S603 - this interpreter and modules of the project, no shell
    if code:
        raise typer.Exit(code)


def _airflow(params: Path, given: dict[str, str | None], only_requests: bool) -> str:
    from components.contract.kfp_task import to_struct

    values = read_yaml(params, "Name the file with --params.")
    values.pop("deploy", None)
    conf = {"params": to_struct(values), "only_requests": only_requests} | {k: v for k, v in given.items() if v}
    name = f"viker-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    _call("POST", "/dags/viker/dagRuns", {"dag_run_id": name, "logical_date": None, "conf": conf})
    say(f"run {name}")
    while (state := _call("GET", f"/dags/viker/dagRuns/{name}")["state"]) not in ("success", "failed"):
        time.sleep(5)
    tasks = _call("GET", f"/dags/viker/dagRuns/{name}/taskInstances?limit=100")["task_instances"]
    ended = {task["task_id"] for task in tasks if task["state"] == "success"}
    if state == "failed":
        return FAILED
    return PASSED if "close" in ended else GATE_FAILED if "not_promoted" in ended else NOTHING


def _call(method: str, path: str, body: Any = None) -> Any:
    address = os.environ.get(ENDPOINT, "").rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise UserError(f"{ENDPOINT} is '{address}': expected Airflow's address, such as http://127.0.0.1:8080.")
    try:
        answer = http.request(method, f"{address}/api/v2{path}", json=body, auth=_bearer, timeout=60)
        answer.raise_for_status()
        return answer.json()
    except http.HTTPError as error:
        code = error.response.status_code
        hint = f"Set {TOKEN} to a token that is valid now." if code in (401, 403) else "Is the DAG viker there?"
        raise UserError(f"{address}: {method} {path} was refused ({code}). {hint}") from None
    except http.RequestException as error:
        raise UserError(f"{address}: no answer ({type(error).__name__}). Check {ENDPOINT} and the network.") from None


def _bearer(request: http.PreparedRequest) -> http.PreparedRequest:
    """Return the request with the token: as a header alone, an entry in .netrc would take its place."""
    request.headers["Authorization"] = f"Bearer {os.environ.get(TOKEN, '')}"
    return request
