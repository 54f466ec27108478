"""A recurring run in Kubeflow, one for each name: made, changed, paused, and left alone where nothing differs."""

import hashlib
import json
import re
from typing import Any

import kfp_server_api as api

from pipelines.kubeflow.host import Host, named
from viker.core.errors import UserError

MADE, CHANGED, PAUSED, RESUMED, UNCHANGED = "made", "changed", "paused", "resumed", "unchanged"
_DIGEST = re.compile(r"viker ([0-9a-f]{64})")


def schedule(
    host: Host,
    name: str,
    experiment: str,
    cron: str,
    specification: dict[str, Any],
    arguments: dict[str, Any],
    account: str | None,
    paused: bool | None,
) -> tuple[str, str]:
    """Have the run of that name as given here; return its ID and what was done. ``paused``: None leaves it as it is.

    Kubeflow can't change a recurring run, so a changed one takes the place of the old. The old is stopped first and
    removed last: at no time do both start runs, and a call that was cut off is put right by the next.

    Raises UserError: no answer, or a refusal.
    """
    experiment_id = host.experiment(experiment)
    body = api.V2beta1RecurringRun(
        display_name=name,
        experiment_id=experiment_id,
        pipeline_spec=specification,
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        service_account=account,
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=cron)),
        max_concurrency="1",
        no_catchup=True,
    )
    parts = json.dumps([experiment_id, cron, specification, arguments, account], sort_keys=True)
    digest = hashlib.sha256(parts.encode()).hexdigest()
    body.description = f"Carries out pending forget requests. viker {digest}"
    old = find(host, name, experiment_id)
    same = [one for one in old if _DIGEST.findall(one.description or "") == [digest]]
    others = [one for one in old if one not in same[:1]]
    if paused is None:
        paused = bool(old) and all(one.status == "DISABLED" for one in old)
    body.mode = api.RecurringRunMode.DISABLE if paused else api.RecurringRunMode.ENABLE
    for one in others:
        host.call(host.schedules.recurring_run_service_disable_recurring_run, recurring_run_id=one.recurring_run_id)
    if same:
        made, done = same[0], CHANGED if others else UNCHANGED
        if set_paused(host, made, paused):
            done = PAUSED if paused else RESUMED
    else:
        known = {one.recurring_run_id for one in old}
        made = host.create(
            host.schedules.recurring_run_service_create_recurring_run,
            lambda: next((o for o in find(host, name, experiment_id) if o.recurring_run_id not in known), None),
            recurring_run=body,
        )
        done = CHANGED if old else MADE
    for one in others:
        host.call(host.schedules.recurring_run_service_delete_recurring_run, recurring_run_id=one.recurring_run_id)
    return str(made.recurring_run_id), done


def pause(host: Host, name: str, experiment: str, paused: bool) -> tuple[str, str]:
    """Stop or start the recurring run of that name as it is; return its ID and what was done.

    Raises UserError: there is none, no answer, or a refusal.
    """
    found = find(host, name, host.experiment(experiment))
    if not found:
        raise UserError(f"no schedule '{name}' in the experiment '{experiment}': give --cron to make it.")
    changed = [set_paused(host, one, paused) for one in found]
    done = (PAUSED if paused else RESUMED) if any(changed) else UNCHANGED
    return str(found[0].recurring_run_id), done


def find(host: Host, name: str, experiment_id: str) -> list[api.V2beta1RecurringRun]:
    """Return the recurring runs of that name, the newest first."""
    found = host.call(
        host.schedules.recurring_run_service_list_recurring_runs,
        experiment_id=experiment_id,
        filter=named(name),
        sort_by="created_at desc",
        page_size=100,
    )
    return list(found.recurring_runs or [])


def set_paused(host: Host, one: api.V2beta1RecurringRun, paused: bool) -> bool:
    """Stop or start a recurring run; return whether it was otherwise before."""
    if (one.status == "DISABLED") == paused:
        return False
    method = f"recurring_run_service_{'disable' if paused else 'enable'}_recurring_run"
    host.call(getattr(host.schedules, method), recurring_run_id=one.recurring_run_id)
    return True


def six_fields(cron: str) -> str:
    """Return a cron expression as Kubeflow wants it, with seconds before the usual five fields.

    Raises UserError: it has neither five nor six fields.
    """
    fields = cron.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6 or not all(re.fullmatch(r"[\w*/,?#-]+", field) for field in fields):
        raise UserError(
            f"--cron is '{cron}': expected five fields, minute hour day month weekday, such as '0 3 * * *' for every "
            "night at three (UTC)."
        )
    return " ".join(fields)
