"""Views of an experiment's runs in MLflow's pages: what to show of which runs, saved with the experiment.

MLflow's own *Save view* writes the same tag: the menu of saved views has them by name, and a link opens one. Which
columns a page shows without a view is kept in each browser; MLflow has no such setting of an experiment.
"""

import json
import time
from typing import Any
from urllib.parse import quote

TAG = "mlflow.sharedViewState."
PRIMARY = "mlflow.experiment.primaryMetric.name"
LEAKAGE, RETAIN = "unlearned.forget.leakage_rate", "unlearned.retain.leakage_rate"
_RESULTS = ("tags.`verdict`", f"metrics.`{LEAKAGE}`", f"metrics.`{RETAIN}`", "tags.`attacks`")
_CHANGED = ("params.`unlearn.method.name`", "params.`unlearn.method.lambda`", "params.`unlearn.lr`", "params.`seed`")
_PIPELINES = "tags.seed != ''"
VIEWS = {
    "viker-runs": {"searchFilter": _PIPELINES, "selectedColumns": [*_RESULTS, "params.`unlearn.method.name`"]},
    "viker-sweeps": {
        "searchFilter": f"{_PIPELINES} and tags.`mlflow.parentRunId` != ''",
        "orderByKey": f"metrics.`{LEAKAGE}`",
        "orderByAsc": True,
        "selectedColumns": [*_RESULTS, *_CHANGED],
    },
}
"""By key: runs of the whole pipeline, the newest first; and the combinations of sweeps, the best forgotten first."""
MEANING = {"viker-runs": "all pipeline runs", "viker-sweeps": "combinations of sweeps side by side"}


def save_views(client: Any, experiment: str) -> None:
    """Save the views with an experiment, unless they are there as they should be, or come to be by another process."""
    from mlflow.exceptions import MlflowException

    present = client.get_experiment(experiment).tags
    wanted = {f"{TAG}{key}": _saved(key, present.get(f"{TAG}{key}")) for key in VIEWS} | {PRIMARY: LEAKAGE}
    for name, value in wanted.items():
        if present.get(name) != value:
            try:
                client.set_experiment_tag(experiment, name, value)
            except MlflowException:  # two that set it at once can collide in the database
                if name not in client.get_experiment(experiment).tags:
                    raise


def _saved(key: str, present: str | None) -> str:
    """Return a view as MLflow's pages save it: name, state and, in milliseconds, when; ``present``: as it is there."""
    try:
        before = json.loads(present or "")
    except ValueError:  # compressed, by another program
        before = {}
    now = {"name": MEANING[key], "state": json.dumps(VIEWS[key])}
    if isinstance(before, dict) and now.items() <= before.items():
        return str(present)
    made = time.time_ns() // 1_000_000
    return json.dumps(now | {"createdAt": made, "updatedAt": made})


def link(server: str, experiment: str, key: str) -> str:
    """Return the address of a view of ``VIEWS`` on the pages of a ``server``, such as http://127.0.0.1:5000."""
    return f"{server.rstrip('/')}/#/experiments/{quote(experiment)}/runs?viewStateShareKey={key}"
