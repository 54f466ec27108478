"""A run of the pipeline in Kubeflow: submitted, watched, and what it came to."""

import time
from collections.abc import Callable
from typing import Any

import kfp_server_api as api

from components.contract.ended import FAILED, GATE_FAILED, NOTHING, PASSED
from components.contract.stages import stages
from pipelines.kubeflow.host import Host, named
from pipelines.kubeflow.tasks import ASKS, REFUSALS
from viker.core.errors import UserError

ENDED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
EXIT = {NOTHING: 0, PASSED: 0, GATE_FAILED: 3, FAILED: 1}
"""The exit code of each outcome, as in 'viker gate'."""


def submit(
    host: Host, name: str, experiment: str, specification: Any, arguments: dict[str, Any], account: str | None
) -> str:
    """Start a run and return its ID.

    A run of that name in the experiment is taken for the one that an attempt without an answer has started.

    Raises UserError: there is such a run before the first attempt, no answer, or a refusal.
    """
    experiment_id = host.experiment(experiment)

    def find() -> Any:
        found = host.call(host.runs.run_service_list_runs, experiment_id=experiment_id, filter=named(name))
        return next(iter(found.runs or []), None)

    if find():
        raise UserError(f"a run '{name}' is in the experiment '{experiment}' already. Choose another with --name.")
    body = api.V2beta1Run(
        experiment_id=experiment_id,
        display_name=name,
        pipeline_spec=specification,
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        service_account=account,
    )
    return str(host.create(host.runs.run_service_create_run, find, run=body).run_id)


def watch(
    host: Host, run_id: str, seconds: float, interval: float, show: Callable[[str, str], object]
) -> api.V2beta1Run:
    """Return the run once it has ended, looked at every ``interval`` seconds.

    ``show`` is called with name and state of a task, each time that its state has changed.

    Raises UserError: it has not ended after ``seconds``; it continues in the cluster.
    """
    until, seen = time.monotonic() + seconds, dict[str, str]()
    while True:
        run = host.call(host.runs.run_service_get_run, run_id=run_id)
        for name, state in tasks(run).items():
            if seen.get(name) != state:
                seen[name] = state
                show(name, state)
        if run.state in ENDED:
            return run
        if time.monotonic() > until:
            raise UserError(
                f"run {run_id} is still {run.state} after {seconds:.0f} s. It continues: "
                f"'viker pipeline status {run_id}' says how it ends."
            )
        time.sleep(interval)


def tasks(run: api.V2beta1Run) -> dict[str, str]:
    """Return the state of each of the pipeline's own tasks by name."""
    details = (run.run_details and run.run_details.task_details) or []
    known = {task.display_name: str(task.state) for task in details if task.state}
    return {name: known[name] for name in task_names() if name in known}


def task_names() -> tuple[str, ...]:
    """Return the names of the pipeline's tasks, in the order in which they run."""
    ordered = [task for stage in stages() for task in (*(ask for ask, (of, _) in ASKS.items() if of == stage), stage)]
    return ("resolve", "collect", *ordered, *REFUSALS, "promote", "close", "purge", "finish")


def outcome(run: api.V2beta1Run) -> str:
    """Return what an ended run came to.

    Kubeflow calls a run whose gate failed a success: what must not happen then was left out. ``register`` runs
    whenever there is work and ``close`` only behind a passed gate, both never from the cache.
    """
    if run.state not in ("SUCCEEDED", "SKIPPED"):
        return FAILED
    states = tasks(run)
    if states.get("close") == "SUCCEEDED":
        return PASSED
    return GATE_FAILED if states.get("register") == "SUCCEEDED" else NOTHING
