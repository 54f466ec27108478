"""A SQLite database is there whole or not at all, whoever else makes it at the same time or is killed meanwhile."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from viker.core.mlflow_store import connect

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
