"""The pipeline for Airflow: one factory, and what runs the tasks by choice: processes, Docker, or pods in Kubernetes.

Copy this file and tasks.json into Airflow's folder of DAGs. Settings come from the environment of Airflow:

- VIKER_EXECUTOR: process, docker or kubernetes. The tasks share a folder, VIKER_SHARED: a folder of this machine, or in
  pods the claim 'viker-cache', with access mode ReadWriteMany; each run has a folder in it.
- VIKER_HOME, VIKER_PYTHON: for processes, the project's folder and its environment's Python.
- VIKER_REGISTRY, VIKER_TAG: for Docker and pods, the images that 'make images-push' has pushed.
- VIKER_CRON: when to look for pending requests; a request that 'viker_requests' sees starts a run too.
- VIKER_REQUESTS, VIKER_SOURCE, VIKER_MODEL: the defaults of the parameters of those names.
- VIKER_RETRIES, VIKER_RETRY_SECONDS: how often, and after how long, a task is tried again. Not what the user must put
  right: the task says so, and fails at once.
- VIKER_WEBHOOK: what is posted to when a task fails for good; 'finish' posts what a run came to there too.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from airflow.exceptions import AirflowFailException
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import BranchPythonOperator, ShortCircuitOperator
from airflow.sdk import DAG, Asset, Param
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

TASKS = json.loads((Path(__file__).parent / "tasks.json").read_text(encoding="utf-8"))
"""The tasks in their order, as 'viker pipeline compile' writes them from the stages' declarations."""
EXECUTOR = os.environ.get("VIKER_EXECUTOR", "kubernetes")
SHARED = os.environ.get("VIKER_SHARED", "/cache")
HOME = os.environ.get("VIKER_HOME", "/opt/viker")
PYTHON = os.environ.get("VIKER_PYTHON", "python")
KEYS = ("VIKER_GUARD_KEY", "VIKER_PRIVACY_KEY")
"""Of guard sets and pseudonyms: a container gets the worker's; a pod, what its secrets have."""
RUN = "{{ viker_run(run_id) }}"
WORK = f"{SHARED}/airflow/{RUN}"
REQUESTS = Asset("viker://requests/pending")
"""There is a request to carry out."""
BEGIN = f"mkdir -p {WORK} && cp {HOME}/params.yaml {WORK}/ && ln -sfn {HOME}/components {HOME}/viker {WORK}/ && "
"""The work tree of the run, made by its first task."""
PARAMS = {
    "params": Param({}, type="object", description="Sections of params.yaml, laid over the project's own."),
    "source": Param(os.environ.get("VIKER_SOURCE"), type=["null", "string"], description="The data."),
    "revision": Param(None, type=["null", "string"], description="Commit or tag of the data."),
    "requests": Param(os.environ.get("VIKER_REQUESTS"), type=["null", "string"], description="The forget requests."),
    "model": Param(os.environ.get("VIKER_MODEL"), type=["null", "string"], description="The deployed model."),
    "policy": Param(None, type=["null", "string"], description="The gate's policy."),
    "only_requests": Param(True, type="boolean", description="Do nothing where no request is pending."),
}


def viker_run(run_id: str) -> str:
    """Return the ID of a run, as a folder may be called."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in run_id)


def check_outcome(context: Any, result: Any) -> None:
    """Fail at once, without another attempt, where a task says that the user must put something right."""
    outcome = ((result or {}).get("parameterValues") or {}).get("outcome", "done")
    if context["ti"].task_id != "finish" and outcome != "done":
        raise AirflowFailException(outcome)


def on_failure(context: Any) -> None:
    """Post that a task has failed for good."""
    if address := os.environ.get("VIKER_WEBHOOK"):
        ti = context["ti"]
        text = f"viker: the task {ti.task_id} of the run {context['run_id']} has failed: {context.get('exception')}"
        httpx.post(address, json={"text": text[:2000]}, timeout=10).raise_for_status()


def task_of(described: dict[str, Any], first: bool = False) -> Any:
    """Return the operator of a task: the same command, in a process, a container, or a pod."""
    name, params = described["task"], described["params"]
    given = "{{ params.params | tojson }}" if params == "" else f"{{{{ resolved(ti)['{params}'] | tojson }}}}"
    values = f'{{"params": {given}}}' if params is not None else "{}"
    arguments = [json.dumps(f"--{option}={text}") for option, text in described["arguments"].items()]
    arguments += [json.dumps(flag) for flag in described["flags"]]
    computed = described["expressions"].items()  # in JSON and not in the command: nothing in them reaches a shell
    arguments += [f"{{{{ ('--{option}=' ~ ({expression})) | tojson }}}}" for option, expression in computed]
    outputs = json.dumps(described["outputs"])
    task_input = (
        f'{{"inputs": {{"parameterValues": {values}}}, "outputs": {outputs}, "arguments": [{", ".join(arguments)}]}}'
    )
    python = PYTHON if EXECUTOR == "process" else "python"
    results = described["outputs"]["outputFile"]
    command = f'cd {WORK} && {python} -m components.contract.kfp_task "$TASK" {described["program"]}'
    command = f"{BEGIN if first else ''}{command}"
    environment = {
        "TASK": task_input,
        "VIKER_RUN": RUN,
        "VIKER_ENGINE": "airflow",
        "VIKER_TRACKING_DIR": f"{SHARED}/tracking",
    }
    common: dict[str, Any] = {
        "task_id": name,
        "retries": int(os.environ.get("VIKER_RETRIES", "3")),
        "retry_delay": timedelta(seconds=float(os.environ.get("VIKER_RETRY_SECONDS", "60"))),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=24 if described["large"] else 1),
        "pool": "viker_gpu" if described["large"] else "default_pool",
        "post_execute": check_outcome,
        "on_failure_callback": on_failure,
    }
    if EXECUTOR == "process":
        environment["PYTHONPATH"] = HOME
        last = f"{command} && tr -d '\\n' < {results}"
        return BashOperator(bash_command=last, env=environment, append_env=True, output_processor=json.loads, **common)
    registry, tag = os.environ.get("VIKER_REGISTRY", "viker"), os.environ.get("VIKER_TAG", "latest")
    image = f"{registry}/viker-{described['image']}:{tag}"
    environment |= {"HF_HOME": f"{SHARED}/huggingface"}
    if EXECUTOR == "docker":
        from airflow.providers.docker.operators.docker import DockerOperator
        from docker.types import DeviceRequest, Mount

        return DockerOperator(
            image=image,
            command=["sh", "-c", f"{command} && tr -d '\\n' < {results}"],
            environment=environment | {"MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI", "")},
            private_environment={name: os.environ[name] for name in KEYS if name in os.environ},
            mounts=[Mount(SHARED, SHARED, type="bind")],
            mount_tmp_dir=False,
            auto_remove="force",
            user="10001",
            device_requests=[DeviceRequest(count=1, capabilities=[["gpu"]])] if described["large"] else None,
            **common,
        )
    from viker_pods import pod

    return pod(image, f"{command} && cp {results} /airflow/xcom/return.json", environment, described["large"], common)


def build(dag_id: str, schedule: Any) -> DAG:
    """Return the DAG: resolve, then the stages if there is work, and promotion behind a passed gate."""
    with DAG(
        dag_id=dag_id,
        description="Make a multimodal language model forget people on request, and prove it.",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        schedule=schedule,
        catchup=False,
        max_active_runs=1,
        params=PARAMS,
        user_defined_macros={"viker_run": viker_run, "resolved": resolved, "values_of": values_of},
    ) as dag:
        tasks = {one["task"]: task_of(one, first=one["task"] == "resolve") for one in TASKS}
        is_there_work = BranchPythonOperator(
            task_id="is_there_work",
            python_callable=lambda ti: "collect" if resolved(ti)["work"] == "yes" else "nothing_to_do",
        )
        verdict = BranchPythonOperator(
            task_id="verdict",
            python_callable=lambda ti: "promote" if values_of(ti, "gate")["verdict"] == "pass" else "not_promoted",
        )
        for one in TASKS:
            tasks[one["task"]].set_upstream([tasks[name] for name in one["after"] if name != "resolve"])
        tasks["resolve"] >> is_there_work >> [tasks["collect"], EmptyOperator(task_id="nothing_to_do")]
        [tasks["gate"], tasks["register"]] >> verdict >> [tasks["promote"], EmptyOperator(task_id="not_promoted")]
        [tasks[name] for name in ("purge", "report")] >> tasks["finish"].as_teardown()
    return dag


def values_of(ti: Any, task: str) -> Any:
    """Return the results of a task."""
    return ti.xcom_pull(task_ids=task)["parameterValues"]


def resolved(ti: Any) -> Any:
    """Return what resolve found: whether there is work, and the parameters by stage."""
    return values_of(ti, "resolve")


cron = os.environ.get("VIKER_CRON")
schedule = (
    AssetOrTimeSchedule(timetable=CronTriggerTimetable(cron, timezone="UTC"), assets=[REQUESTS]) if cron else None
)
viker = build("viker", schedule or [REQUESTS])

with DAG(
    dag_id="viker_requests",
    description="Look for pending forget requests, and say so: that starts the DAG viker.",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule=os.environ.get("VIKER_LOOK", "*/10 * * * *"),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    user_defined_macros={"viker_run": viker_run, "resolved": resolved, "values_of": values_of},
) as looking:
    look = task_of(TASKS[0], first=True)
    pending = ShortCircuitOperator(task_id="pending", python_callable=lambda ti: resolved(ti)["work"] == "yes")
    look >> pending >> EmptyOperator(task_id="say_so", outlets=[REQUESTS])
