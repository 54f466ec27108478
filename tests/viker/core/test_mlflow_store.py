"""A SQLite database is there whole or not at all, whoever else makes it at the same time or is killed meanwhile."""

import os
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from viker.core.mlflow_store import connect, default_store, lasting, tracking_uri

CONNECT = "import sys; from viker.core.mlflow_store import connect; connect(sys.argv[1])"


def connecting(folder: Path, uri: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CONNECT, uri]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_may_make_it_by_different_names_and_a_third_be_killed(tmp_path):
    killed = connecting(tmp_path, "sqlite:///mlflow.db")
    while killed.poll() is None and not any(tmp_path.glob(".mlflow.db.*.tmp")):
        time.sleep(0.01)
    time.sleep(0.5)
    killed.kill()
    killed.communicate()
    assert not (tmp_path / "mlflow.db").exists()
    both = [connecting(tmp_path, uri) for uri in ("sqlite:///mlflow.db", f"sqlite:///{tmp_path}/mlflow.db")]
    assert [(each.communicate()[1], each.returncode) for each in both] == [("", 0)] * 2
    assert connect(f"sqlite:///{tmp_path}/mlflow.db").get_experiment("0") is not None


@pytest.mark.parametrize("folder", ["standard0-ab12", "tmp1x", "standard0-ab12/components/register"])
@pytest.mark.parametrize(
    ("variable", "at", "written"),
    [
        (None, "sqlite:///{}/mlflow.db", "sqlite:///mlflow.db"),
        ("", "sqlite:///{}/mlflow.db", "sqlite:///mlflow.db"),
        ("sqlite:///runs/own.db", "sqlite:///{}/runs/own.db", "sqlite:///runs/own.db"),
        ("sqlite:////elsewhere/mlflow.db", "sqlite:////elsewhere/mlflow.db", "sqlite:////elsewhere/mlflow.db"),
        ("http://mlflow:5000", "http://mlflow:5000", "http://mlflow:5000"),
    ],
)
def test_a_copy_that_dvc_removes_uses_the_repositorys_database(tmp_path, monkeypatch, folder, variable, at, written):
    copy = tmp_path / ".dvc/tmp/exps" / folder
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if variable is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    assert tracking_uri() == at.format(tmp_path)
    assert lasting(tracking_uri()) == written


def test_any_other_work_tree_uses_its_own(tmp_path, monkeypatch):
    (tmp_path / "exps/tmp/.dvc").mkdir(parents=True)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for folder in (tmp_path, tmp_path / "exps/tmp"):
        monkeypatch.chdir(folder)
        assert tracking_uri() == lasting(tracking_uri()) == "sqlite:///mlflow.db"


def test_a_store_that_is_open_is_not_the_next_folders(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        client = connect("sqlite:///mlflow.db")
        assert client.get_experiment_by_name("mine") is None
        client.create_experiment("mine")


@pytest.mark.parametrize("before", [None, "http://127.0.0.1:9"])
def test_the_default_store_is_that_of_the_block_alone(tmp_path, monkeypatch, before):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if before is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", before)
    monkeypatch.chdir(tmp_path)
    with default_store("sqlite:///mlflow.db"):
        assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    assert os.environ.get("MLFLOW_TRACKING_URI") == before
    assert before is None or mlflow.get_tracking_uri() == before
