"""A copied project has artifacts of its own: the database beside them refers to no other folder."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from viker.core.mlflow_store import connect, experiment_id


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A project with a run, an artifact of it, and a version of a registered model."""
    folder = tmp_path_factory.mktemp("original") / "project"
    uri = f"sqlite:///{folder}/mlflow.db"
    client = connect(uri)
    run = client.create_run(experiment_id(client, uri, "viker"))
    client.log_text(run.info.run_id, "first", "note.txt")
    client.create_registered_model("adapter")
    client.create_model_version("adapter", f"{run.info.artifact_uri}/model", run.info.run_id)
    return folder


def texts(database: Path) -> str:
    with sqlite3.connect(database) as store:
        return "\n".join(store.iterdump())


def test_a_copy_writes_into_itself(original, tmp_path, caplog):
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    before = {path: path.read_bytes() for path in original.rglob("*") if path.is_file()}

    uri = f"sqlite:///{copy}/mlflow.db"
    client = connect(uri)
    run = client.create_run(experiment_id(client, uri, "viker"))
    client.log_text(run.info.run_id, "second", "other.txt")

    assert "was moved or copied" in caplog.text
    assert f"{original}/mlartifacts" not in texts(copy / "mlflow.db")
    assert [path.read_text() for path in copy.rglob("other.txt")] == ["second"]
    assert client.get_model_version("adapter", "1").source.startswith(copy.as_uri())
    assert {path: path.read_bytes() for path in original.rglob("*") if path.is_file()} == before


def test_nothing_changes_where_it_was_made(original, caplog):
    before = texts(original / "mlflow.db")
    connect(f"sqlite:///{original}/mlflow.db")
    assert texts(original / "mlflow.db") == before and not caplog.text


def test_a_database_that_was_copied_alone_says_where_its_artifacts_are(original, tmp_path, caplog):
    shutil.copy(original / "mlflow.db", tmp_path / "mlflow.db")
    connect(f"sqlite:///{tmp_path}/mlflow.db")
    assert f"copied without its artifacts: they are still those in {original}/mlartifacts" in caplog.text


def test_artifacts_that_lie_where_their_owner_put_them_stay_there(tmp_path, caplog):
    uri = f"sqlite:///{tmp_path}/project/mlflow.db"
    client = connect(uri)
    client.create_experiment("elsewhere", artifact_location="s3://bucket/mlartifacts")
    client.create_experiment("beside", artifact_location=(tmp_path / "store").as_uri())
    (tmp_path / "project/mlartifacts").mkdir()
    connect(uri)
    assert client.get_experiment_by_name("elsewhere").artifact_location == "s3://bucket/mlartifacts"
    assert client.get_experiment_by_name("beside").artifact_location == (tmp_path / "store").as_uri()
    assert not caplog.text
