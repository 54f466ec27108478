"""The connection to MLflow: which server or database, an experiment in it, and errors without passwords."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from viker.core.errors import UserError

DEFAULT_URI = "sqlite:///mlflow.db"
RUN_TAG = "viker.pipeline_run"
"""The tag by which a run names the run of Kubeflow that made it."""

# Read by MLflow when it is imported or called; whoever sets them has the last word.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}.items():
    os.environ.setdefault(_name, _value)

_USER = re.compile(r"(?<=://)[^\s'\"]*@")
_SECRET = re.compile(r"((?:password|passwd|pwd|token|secret|key)[a-z_]*=)[^&\s'\"]+", re.IGNORECASE)


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the SQLite database of the work tree where it is not set."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def without_secrets(text: str) -> str:
    """Return ``text`` with the credentials of every URI in it replaced by ``***``."""
    return _SECRET.sub(r"\1***", _USER.sub("***@", text))


def connect(uri: str) -> Any:
    """Return an ``MlflowClient`` of a store that has answered.

    Raises:
        UserError: nothing answers at ``uri``, or it is not a tracking store.
        ImportError: it is a database, and what MLflow reaches databases with is not installed.
    """
    from mlflow import MlflowClient
    from mlflow.store.db.db_types import DATABASE_ENGINES

    if re.split("[:+]", uri)[0] in DATABASE_ENGINES and find_spec("sqlalchemy") is None:
        raise ImportError("no SQLAlchemy here, with which MLflow reaches databases")  # MLflow calls it a wrong address

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    hint = f"Start that server or correct MLFLOW_TRACKING_URI; without that variable it is the database {DEFAULT_URI}"
    with explained(uri, "no tracking store answers", hint):
        _make_database(uri)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def _make_database(uri: str) -> None:
    """Lay out a SQLite file that is not there yet, whole or not at all.

    MLflow lays one out in steps: a process killed meanwhile, or two that spell its URI differently, would leave a
    database that nothing opens again.
    """
    path = _database(uri)
    if path is None or path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{temporary.absolute()}").search_experiments(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)


def experiment_id(client: Any, uri: str, name: str) -> str:
    """Return the experiment's id; a new one keeps its artifacts beside a SQLite file, else where the server says.

    Raises:
        UserError: the experiment was deleted.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=_artifacts_beside(uri)))
    if experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"register.experiment is '{name}': that experiment was deleted in MLflow at {without_secrets(uri)}. "
            f"Restore it ('mlflow experiments restore --experiment-id {experiment.experiment_id}') or name another."
        )
    return str(experiment.experiment_id)


@contextmanager
def explained(uri: str, problem: str, hint: str) -> Iterator[None]:
    """Turn whatever MLflow and its stores raise inside the block into one UserError that names ``uri``.

    An ImportError passes: an image has what it takes to speak to a server, and only register's has the databases.
    """
    try:
        yield
    except (UserError, ImportError):
        raise
    except Exception as error:  # the stores raise errors of MLflow, SQLAlchemy, requests, botocore, database drivers
        reason = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
        raise UserError(
            f"MLflow at {without_secrets(uri)}: {problem} ({reason[:400]}). {hint}. Then run the command again."
        ) from None


def _artifacts_beside(uri: str) -> str | None:
    path = _database(uri)
    return None if path is None else (path.parent / "mlartifacts").resolve().as_uri()


def _database(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for any other store, or one in memory."""
    name = uri.partition("///")[2].partition("?")[0]
    return Path(name) if uri.startswith("sqlite:") and name not in ("", ":memory:") else None
