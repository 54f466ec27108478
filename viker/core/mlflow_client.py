"""A client of MLflow that sends again what did not arrive, where to do so twice changes nothing."""

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, TypeVar

PAUSES = (0.1, 0.3, 1.0)
"""Seconds before each further try."""
REPEATABLE = ("get_", "search_", "list_", "download_", "set_")
"""How the names of requests begin that read, or set something to a value."""
REMOVALS = (
    *("delete_tag", "delete_registered_model_tag", "delete_model_version_tag"),
    "delete_registered_model_alias",
)
"""Requests that may find that what they remove is gone already: the try before them arrived, its answer did not."""
PASSING = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
"""MLflow's codes for errors that may pass; a connection that breaks is the first of them."""

T = TypeVar("T")


class PatientClient:
    """Everything that an ``MlflowClient`` does; what reads, sets or removes is tried again when the connection breaks.

    Servers close connections that were idle for some seconds, uvicorn after five: a request that is sent at that moment
    gets no answer. What creates or appends is sent once only, as it may have arrived: callers look, and send it again.
    """

    def __init__(self, client: Any) -> None:
        """Wrap an ``MlflowClient``."""
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Return what the client has by this name."""
        member = getattr(self._client, name)
        if name in REMOVALS:
            return lambda *arguments, **named: patiently(_once_gone_is_gone(partial(member, *arguments, **named)))
        if name.startswith(REPEATABLE):
            return lambda *arguments, **named: patiently(partial(member, *arguments, **named))
        return member


def patiently(request: Callable[[], T]) -> T:
    """Return what a request returns, tried up to four times.

    Raises MlflowException: an error that does not pass, a timeout (it has been waited for already), or the last try's.
    """
    from mlflow.exceptions import MlflowException

    for pause in PAUSES:
        try:
            return request()
        except MlflowException as error:
            if error.error_code not in PASSING or "timeout exception" in str(error):
                raise
            time.sleep(pause)
    return request()


def _once_gone_is_gone(removal: Callable[[], Any]) -> Callable[[], None]:
    """Return a removal that ends well if, from its second try on, nothing is there to be removed."""
    from mlflow.exceptions import MlflowException

    tries = count()

    def remove() -> None:
        tried = next(tries)
        try:
            removal()
        except MlflowException as error:
            if not tried or error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    return remove
