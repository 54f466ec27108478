"""The connection to Kubeflow Pipelines: address and token, what is tried again, and errors that say what to do."""

import json
import os
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import kfp_server_api as api
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from viker.core.errors import UserError

ENDPOINT, TOKEN, NAMESPACE = "KFP_ENDPOINT", "KFP_TOKEN", "KFP_NAMESPACE"
ATTEMPTS = 4
OLDEST = (2, 16)
"""The oldest version that runs the pipeline as it is compiled: from it on, driver/k8s.go sets a container's user."""
BUSY = (429, 500, 502, 503, 504)
"""Answers that may be others a moment later."""
WAIT = 1.0
"""Seconds before the second attempt; doubled for each further one."""
TIMEOUT = 60.0
"""Seconds for one answer."""
Result = TypeVar("Result")


class Host:
    """Kubeflow's API at the address in KFP_ENDPOINT."""

    def __init__(self, wait: float = WAIT) -> None:
        """Read address, token and namespace from the environment; nothing is sent yet.

        Raises UserError: KFP_ENDPOINT is not set, or is no address.
        """
        self.address = os.environ.get(ENDPOINT, "").rstrip("/")
        self.namespace = os.environ.get(NAMESPACE) or None
        self.wait = wait
        if not self.address.startswith(("http://", "https://")):
            raise UserError(
                f"{ENDPOINT} is '{self.address}': expected the address of Kubeflow Pipelines, such as "
                "https://kubeflow.example.org/pipeline, or http://127.0.0.1:8888 after 'kubectl port-forward'."
            )
        settings = api.Configuration(host=self.address)
        settings.retries = Retry(
            total=ATTEMPTS - 1,
            status_forcelist=BUSY,
            allowed_methods={"GET"},
            backoff_factor=wait,
            raise_on_status=False,
        )
        if token := os.environ.get(TOKEN):
            settings.api_key["authorization"] = token
            settings.api_key_prefix["authorization"] = "Bearer"
        client = api.ApiClient(settings)
        self.experiments = api.ExperimentServiceApi(client)
        self.runs = api.RunServiceApi(client)
        self.schedules = api.RecurringRunServiceApi(client)

    def check_version(self) -> str | None:
        """Return the version of Kubeflow Pipelines; None where it doesn't say.

        Raises UserError: it is too old for this pipeline, or doesn't answer.
        """
        health = partial(self.experiments.api_client.call_api, "/apis/v2beta1/healthz", "GET", auth_settings=["Bearer"])
        answer: Any = self.call(health, response_type="object", _return_http_data_only=True)
        name = str((answer or {}).get("tag_name", ""))
        numbers = re.match(r"v?(\d+)\.(\d+)", name)
        if numbers is None:
            return None
        if (int(numbers[1]), int(numbers[2])) < OLDEST:
            raise UserError(
                f"{self.address}: Kubeflow Pipelines {name} is too old: expected {OLDEST[0]}.{OLDEST[1]} or later. "
                "Before 2.16 it ignores the user that the tasks are to run as; up to 2.5 it refuses the task at the "
                "end of the pipeline. Upgrade it: docs/kubernetes.md."
            )
        return name

    def call(self, method: Callable[..., Result], **arguments: Any) -> Result:
        """Call a method of the API; only what reads is tried again. Raises UserError: no answer, or a refusal."""
        try:
            return method(**arguments, _request_timeout=TIMEOUT)
        except (api.ApiException, HTTPError) as error:
            raise UserError(self._explained(error)) from None

    def create(self, method: Callable[..., Result], find: Callable[[], Result | None], **arguments: Any) -> Result:
        """Call a method that makes something; before another attempt, look whether the last one has made it after all.

        ``find`` returns what was made, or None.

        Raises UserError: no answer, or a refusal.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return method(**arguments, _request_timeout=TIMEOUT)
            except (api.ApiException, HTTPError) as error:
                status = getattr(error, "status", None)
                lost = status in BUSY or isinstance(error, HTTPError)
                if status != 409 and (not lost or attempt == ATTEMPTS):
                    raise UserError(self._explained(error)) from None
                if lost:
                    time.sleep(self.wait * 2 ** (attempt - 1))
                if found := find():
                    return found
                if status == 409:
                    raise UserError(self._explained(error)) from None
        raise AssertionError("unreachable")

    def experiment(self, name: str) -> str:
        """Return the ID of the experiment of that name, made where there is none."""

        namespace = {"namespace": self.namespace} if self.namespace else {}

        def find() -> Any:
            found = self.call(self.experiments.experiment_service_list_experiments, filter=named(name), **namespace)
            return next(iter(found.experiments or []), None)

        body = api.V2beta1Experiment(display_name=name, namespace=self.namespace)
        made = find() or self.create(self.experiments.experiment_service_create_experiment, find, experiment=body)
        return str(made.experiment_id)

    def _explained(self, error: Exception) -> str:
        if not isinstance(error, api.ApiException):
            return (
                f"{self.address}: no answer ({type(error).__name__}). Check {ENDPOINT}, the network, and that "
                "'kubectl port-forward' is running where you use it."
            )
        try:
            body = json.loads(error.body)
            said = " ".join(str(body.get("message") or body.get("error") or "").split())[:200]
        except (TypeError, ValueError, AttributeError):
            said = ""
        said = f", {said}" if said else ""
        if error.status in (401, 403):
            return (
                f"{self.address}: access denied ({error.status}{said}). Set {TOKEN} to a token that is valid now, and "
                f"{NAMESPACE} to a namespace that it may use."
            )
        if error.status == 404:
            return f"{self.address}: no such thing there ({error.status}{said}). Check the name or ID, and {ENDPOINT}."
        if error.status in BUSY:
            return f"{self.address}: it answers {error.status}{said} after {ATTEMPTS} attempts. Try again later."
        return f"{self.address}: refused ({error.status}{said})."


def named(name: str) -> str:
    """Return the filter of the API for what is called ``name``."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
