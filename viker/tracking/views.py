"""Views of an experiment's runs in MLflow's pages: what to show of which runs, saved with the experiment.

MLflow's own *Share* button writes the same tag; its pages take the view that the link names.
"""

import json
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

    wanted = {f"{TAG}{key}": json.dumps(view) for key, view in VIEWS.items()} | {PRIMARY: LEAKAGE}
    present = client.get_experiment(experiment).tags
    for name, value in wanted.items():
        if present.get(name) != value:
            try:
                client.set_experiment_tag(experiment, name, value)
            except MlflowException:  # two that set it at once can collide in the database
                if client.get_experiment(experiment).tags.get(name) != value:
                    raise


def link(server: str, experiment: str, key: str) -> str:
    """Return the address of a view of ``VIEWS`` on the pages of a ``server``, such as http://127.0.0.1:5000."""
    return f"{server.rstrip('/')}/#/experiments/{quote(experiment)}/runs?viewStateShareKey={key}"
