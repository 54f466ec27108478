"""The connection to MLflow: which server or database, an experiment in it, and errors without passwords."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from viker.core.errors import UserError
from viker.core.mlflow_client import PatientClient
from viker.core.redact import without_secrets
from viker.core.system_errors import system_error

DEFAULT_URI = "sqlite:///mlflow.db"
ARTIFACTS = "mlartifacts"
"""The folder of artifacts beside a SQLite database."""
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Tables and columns in which MLflow keeps addresses of artifacts."""

log = logging.getLogger(__name__)

os.environ |= {  # read by MLflow; values that are set already win
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # PatientClient and the callers send again; MLflow would create twice
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
    """Return a ``PatientClient`` of a store that has answered.

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
        relocate(uri)
        client = MlflowClient(tracking_uri=_absolute(uri))
        client.search_experiments(max_results=1)
    return PatientClient(client)


@contextmanager
def default_store(uri: str) -> Iterator[None]:
    """Make ``uri`` the store of MLflow's functions that take none while the block runs, and of none afterwards."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(_absolute(uri))
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # this removes the variable too
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def experiment_id(client: Any, uri: str, name: str) -> str:
    """Return the experiment's id; a new one keeps its artifacts next to a SQLite file, else where the server says."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        path = database(uri)
        artifacts = (path.parent / ARTIFACTS).resolve().as_uri() if path else None
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


def _shortened(text: str) -> str:
    """Return at most some 500 characters: the start, which names the request, and the end, which says what happened."""
    return text if len(text) <= 500 else f"{text[:200]} … {text[-300:]}"


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


def relocate(uri: str) -> None:
    """Make a SQLite database that was moved or copied with its folder refer to the artifacts beside it.

    MLflow writes absolute addresses into it, by which a copy would read and write what belongs to the original. Those
    of the folder that ``experiment_id`` chose, ``mlartifacts`` beside the database, follow the database; others stay.
    Where there is no such folder, but the original's is still there, only the database was copied: a warning says so.
    """
    path = database(uri)
    if path is None or not path.is_file():
        return
    here = (path.parent / ARTIFACTS).resolve()
    with closing(sqlite3.connect(path, timeout=60)) as store:
        if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            return
        locations = [str(row[0]) for row in store.execute("SELECT DISTINCT artifact_location FROM experiments")]
        for before in locations:
            if not before.endswith(f"/{ARTIFACTS}") or not before.startswith("file:") or before == here.as_uri():
                continue
            original = Path(url2pathname(urlsplit(before).path))
            if original.is_dir() and not here.is_dir():
                log.warning("%s was copied without its artifacts: they are still those in %s", path, original)
                continue
            log.warning("%s was moved or copied: its artifacts are now those in %s, not in %s", path, here, original)
            for table, column in _ADDRESSES:
                if column in {row[1] for row in store.execute(f"PRAGMA table_info({table})")}:
                    change = f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608 - _ADDRESSES' names
                    store.execute(
                        f"{change} WHERE {column} = ? OR {column} LIKE ?",
                        (here.as_uri(), len(before) + 1, before, f"{before}/%"),
                    )
        store.commit()


def _absolute(uri: str) -> str:
    """Return ``uri`` with a database's whole path: MLflow keeps stores open by URI, whatever folder is current then."""
    path = database(uri)
    return uri if path is None else uri.replace(str(path), str(path.absolute()), 1)


def database(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for any other store."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def beside_store(name: str, uri: str) -> str:
    """Return a folder's name as it is found from here: in the current folder, else beside a SQLite store, or as it is.

    ``name``: a folder, relative to the project's root, or the name of a model on a hub; ``uri``: of the store.
    """
    file = database(uri)
    beside = file.parent / name if file else Path(name)
    return str(beside) if beside.is_dir() and not Path(name).exists() else name
