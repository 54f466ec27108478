"""The connection to MLflow: which server or database, an experiment in it, and errors without passwords."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.redact import without_secrets
from viker.core.system_errors import system_error

DEFAULT_URI = "sqlite:///mlflow.db"

os.environ |= {  # read by MLflow; values that are set already win
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # what did not arrive is sent again here, after a look at what did
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "GIT_PYTHON_REFRESH": "quiet",
} | os.environ


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the SQLite database of the work tree where it is not set.

    In a copy of the work tree that DVC makes for an experiment and removes (``dvc exp run --temp`` or ``--queue``), a
    database in the work tree is that of the repository that the copy was made from.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    path, repository = database(uri), repository_of(Path.cwd())
    if path is None or repository is None or path.is_absolute():
        return uri
    return uri.replace(str(path), str(repository / path), 1)


def lasting(uri: str) -> str:
    """Return ``uri`` as it is written down: a database of the repository as it is called in its work tree."""
    repository = repository_of(Path.cwd())
    return uri if repository is None else uri.replace(f"sqlite:///{repository}/", "sqlite:///", 1)


def repository_of(folder: Path) -> Path | None:
    """Return the repository whose temporary copy, in ``.dvc/tmp/exps``, a folder is in; None where it is in none."""
    for parent in folder.resolve().parents:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parents[2]
    return None


def connect(uri: str) -> Any:
    """Return an ``MlflowClient`` of a store that has answered.

    Raises:
        UserError: nothing answers at ``uri``, or it is not a tracking store.
        ImportError: MLflow is not installed, or ``uri`` is a database and SQLAlchemy is not.
    """
    from mlflow import MlflowClient

    if uri.startswith(("sqlite", "postgresql", "mysql", "mssql")) and find_spec("sqlalchemy") is None:
        raise ImportError("MLflow reaches databases with SQLAlchemy, which is not installed")  # it would blame the URI
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    hint = f"Start that server or correct MLFLOW_TRACKING_URI; without that variable it is the database {DEFAULT_URI}"
    with explained(uri, "no tracking store answers", hint):
        _create_database(uri)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def experiment_id(client: Any, uri: str, name: str) -> str:
    """Return the experiment's id; a new one keeps its artifacts next to a SQLite file, else where the server says."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        path = database(uri)
        artifacts = (path.parent / "mlartifacts").resolve().as_uri() if path else None
        return str(client.create_experiment(name, artifact_location=artifacts))
    if experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"register.experiment is '{name}': that experiment was deleted in MLflow at {without_secrets(uri)}. "
            f"Restore it ('mlflow experiments restore --experiment-id {experiment.experiment_id}') or name another."
        )
    return str(experiment.experiment_id)


@contextmanager
def explained(uri: str, problem: str, hint: str) -> Iterator[None]:
    """Turn whatever MLflow and its stores raise in the block into a UserError; an ImportError, a bare image, passes."""
    try:
        yield
    except (UserError, ImportError):
        raise
    except Exception as error:  # the stores raise errors of MLflow, SQLAlchemy, requests, botocore, database drivers
        if problem_here := system_error(error):
            raise UserError(f"MLflow at {without_secrets(uri)}: {problem_here}") from None
        reason = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:400]
        raise UserError(
            f"MLflow at {without_secrets(uri)}: {problem} ({reason}). {hint}. Then run the command again."
        ) from None


def _create_database(uri: str) -> None:
    """Create a SQLite file as a whole or not at all: one that MLflow was killed over can't be opened again."""
    from mlflow import MlflowClient

    path = database(uri)
    if path is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{temporary.absolute()}").search_experiments(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)


def database(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for any other store."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None
