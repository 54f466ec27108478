"""``viker pipeline``: the pipeline in Kubeflow, compiled, run, scheduled and watched."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from viker.core.console import JsonOption, ParamsOption, command_group, say, say_json, show
from viker.core.errors import UserError
from viker.core.files import new_file, read_json

app = command_group(
    """Run the pipeline in Kubeflow: compile, run, schedule, status.

    *KFP_ENDPOINT* is the address of Kubeflow Pipelines, *KFP_TOKEN* a bearer token where it wants one, *KFP_NAMESPACE*
    the namespace where it has several. The section *deploy* of params.yaml says where and how the stages run."""
)
ProfileOption = Annotated[
    str | None, typer.Option(help="A profile of the section deploy; else the one that deploy.profile names.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", "-S", metavar="NAME=VALUE", help="A value of params.yaml for this run.")
]
SourceOption = Annotated[str | None, typer.Option(help="The data, in place of prepare.source.")]
RevisionOption = Annotated[str | None, typer.Option(help="Commit or tag of the data.")]
RequestsOption = Annotated[str | None, typer.Option(help="The folder of forget requests: s3://BUCKET/PREFIX.")]
ModelOption = Annotated[str | None, typer.Option(help="The deployed model, in place of finetune.deployed_model.")]
PolicyOption = Annotated[str | None, typer.Option(help="The gate's policy.")]
ExperimentOption = Annotated[str, typer.Option(help="The experiment in Kubeflow.")]
AccountOption = Annotated[str | None, typer.Option("--service-account", help="The pods' service account.")]


@app.command("compile")
def compile_(
    params: ParamsOption = Path("params.yaml"),
    out: Annotated[Path, typer.Option(help="The YAML for Kubeflow.")] = Path("deploy/pipeline.yaml"),
    profile: ProfileOption = None,
    digests: Annotated[
        Path | None, typer.Option(help="The digests that docker/build.py --push --digests wrote, to pin the images.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the pipeline as YAML, and in the work tree's *deploy/airflow* the tasks for Airflow's DAG.

    Commit *deploy/pipeline.yaml*: its diff shows what a change of the parameters or the code means for the cluster.
    """
    from pipelines.airflow import TASKS, airflow_tasks
    from pipelines.kubeflow.compile import compiled, load

    pinned = [] if digests is None else [f"deploy.digests={json.dumps(read_json(digests, 'images-push'))}"]
    _, deploy = load(params, pinned, profile)
    with new_file(out) as temporary:
        temporary.write_text(compiled(deploy), encoding="utf-8")
    if TASKS.parent.is_dir():
        with new_file(TASKS) as temporary:
            temporary.write_text(airflow_tasks(), encoding="utf-8")
    show({"file": str(out), "profile": deploy.profile}, [f"{out}: profile {deploy.profile}"], as_json)


@app.command()
def run(
    params: ParamsOption = Path("params.yaml"),
    profile: ProfileOption = None,
    set_: SetOption = None,
    source: SourceOption = None,
    revision: RevisionOption = None,
    requests: RequestsOption = None,
    model: ModelOption = None,
    policy: PolicyOption = None,
    only_requests: Annotated[
        bool, typer.Option("--only-requests", help="Do nothing where no request is pending.")
    ] = False,
    experiment: ExperimentOption = "viker",
    name: Annotated[str | None, typer.Option(help="Without it, 'viker' and the time.")] = None,
    service_account: AccountOption = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end, and exit with the outcome.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="The longest wait, in hours.")] = 24,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two looks.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Run the pipeline in Kubeflow, with this folder's params.yaml.

    Exit codes: 0 the gate passed, or there was nothing to do; 3 the gate failed; 1 the run failed, or can't be made.
    """
    from pipelines.kubeflow.compile import arguments, load, specification
    from pipelines.kubeflow.host import Host
    from pipelines.kubeflow.submit import EXIT, FAILED, outcome, submit, tasks, watch

    host = Host()
    _check_version(host, as_json)
    values, deploy = load(params, set_ or [], profile)
    given = {"source": source, "revision": revision, "requests": requests, "model": model, "policy": policy}
    name = name or f"viker {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    body = arguments(values, given, only_requests)
    run_id = submit(host, name, experiment, specification(deploy), body, service_account)
    about = {"run": run_id, "name": name, "page": f"{host.address}/#/runs/details/{run_id}"}
    if not as_json:
        say(f"run {run_id} ('{name}'): {about['page']}")
    if not wait:
        show(about, [], as_json)
        return

    def follow(task: str, state: str) -> None:
        if not as_json:
            say(f"{task:<10} {state.lower()}")

    ended = watch(host, run_id, timeout * 3600, interval, follow)
    result = outcome(ended)
    if as_json:
        say_json(about | {"outcome": result, "tasks": tasks(ended)})
    if result == FAILED:
        reason = ended.error.message if ended.error and ended.error.message else "see the logs of its tasks"
        raise UserError(f"run {run_id} is {ended.state}: {reason}.")
    if not as_json:
        say(f"run {run_id}: {result}")
    raise typer.Exit(EXIT[result])


@app.command()
def schedule(
    name: Annotated[str, typer.Argument(help="What the schedule is called; there is one of each name.")],
    cron: Annotated[
        str | None, typer.Option(help="When, in UTC: minute hour day month weekday, such as '0 3 * * *'.")
    ] = None,
    pause: Annotated[
        bool | None, typer.Option("--pause/--resume", help="Stop it, or start it again; without --cron nothing else.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
    profile: ProfileOption = None,
    set_: SetOption = None,
    source: SourceOption = None,
    revision: RevisionOption = None,
    requests: RequestsOption = None,
    model: ModelOption = None,
    policy: PolicyOption = None,
    experiment: ExperimentOption = "viker",
    service_account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have Kubeflow look for pending requests at set times, and carry them out.

    One run at a time; what was missed is not made up for. A run that finds no pending request ends green after its
    first task. The same call again changes nothing; with other values it changes the schedule of that name.
    """
    from pipelines.kubeflow import schedule as schedules
    from pipelines.kubeflow.compile import arguments, load, specification
    from pipelines.kubeflow.host import Host

    host = Host()
    if cron is None:
        if pause is None:
            raise UserError("neither --cron nor --pause or --resume: say when it is to run, or to stop.")
        made, done = schedules.pause(host, name, experiment, pause)
    else:
        _check_version(host, as_json)
        values, deploy = load(params, set_ or [], profile)
        given = {"source": source, "revision": revision, "requests": requests, "model": model, "policy": policy}
        body = arguments(values, given, only_requests=True)
        when, spec = schedules.six_fields(cron), specification(deploy)
        made, done = schedules.schedule(host, name, experiment, when, spec, body, service_account, pause)
    show({"schedule": name, "id": made, "done": done}, [f"schedule '{name}' ({made}): {done}"], as_json)


@app.command()
def status(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Without it, the newest runs.")] = None,
    experiment: ExperimentOption = "viker",
    as_json: JsonOption = False,
) -> None:
    """Show how a run stands, task by task; or the newest runs and the schedules. Exit codes as for `run`."""
    from pipelines.kubeflow.host import Host
    from pipelines.kubeflow.submit import ENDED, EXIT, outcome, tasks

    host = Host()
    if run_id is not None:
        run = host.call(host.runs.run_service_get_run, run_id=run_id)
        states = {task: state.lower() for task, state in tasks(run).items()}
        result = outcome(run) if run.state in ENDED else ""
        if as_json:
            say_json({"run": run_id, "name": run.display_name, "state": run.state, "outcome": result, "tasks": states})
            raise typer.Exit(EXIT.get(result, 0))
        _table(("task", "state"), list(states.items()))
        say(f"run {run_id} ('{run.display_name}'): {result or str(run.state).lower()}")
        raise typer.Exit(EXIT.get(result, 0))
    where = host.experiment(experiment)
    runs = host.call(host.runs.run_service_list_runs, experiment_id=where, page_size=10, sort_by="created_at desc")
    ended = [(one, outcome(one) if one.state in ENDED else one.state) for one in runs.runs or []]
    rows = [(str(one.created_at or "")[:19], one.run_id, one.display_name, state) for one, state in ended]
    listed = host.call(host.schedules.recurring_run_service_list_recurring_runs, experiment_id=where, page_size=100)
    schedules = [(one, one.trigger and one.trigger.cron_schedule) for one in listed.recurring_runs or []]
    planned = [(one.display_name, cron.cron if cron else "", one.status) for one, cron in schedules]
    heads, plan_heads = ("started", "run", "name", "outcome"), ("schedule", "cron", "state")
    if as_json:
        of_plan = [dict(zip(plan_heads, row, strict=True)) for row in planned]
        say_json({"runs": [dict(zip(heads, row, strict=True)) for row in rows], "schedules": of_plan})
        return
    _table(heads, rows)
    _table(plan_heads, planned)


def _check_version(host: Any, quiet: bool = False) -> None:
    if host.check_version() is None and not quiet:
        say(f"{host.address} doesn't say which version of Kubeflow Pipelines it is: expected 2.16 or later.")


def _table(headings: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    shown = Table(*(Column(heading, no_wrap=heading == "run") for heading in headings))
    for row in rows:
        shown.add_row(*(Text(str(cell)) for cell in row))
    Console(highlight=False).print(shown)
