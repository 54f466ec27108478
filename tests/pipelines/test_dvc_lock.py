"""DVC's file of locks is repaired after a kill, and left alone while DVC lives."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import dvc_lock
from pipelines.dvc_lock import RWLOCK, repair
from viker.core.errors import UserError


@pytest.fixture
def repository(tmp_path) -> Path:
    """A DVC repository with a stage that takes a while."""
    dvc(tmp_path, "init", "--no-scm", "--quiet")
    (tmp_path / "dvc.yaml").write_text("stages:\n  slow:\n    cmd: sleep ${seconds} && echo x > out\n    outs: [out]\n")
    (tmp_path / "params.yaml").write_text("seconds: 0\n")
    return tmp_path


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    "torn", [b"", b'{"write": {"/x": {"pi', b"null", b"[]", b'{"write": [1]}', b'{"read": {"x": [1]}}']
)
def test_a_torn_file_is_removed(tmp_path, torn):
    (tmp_path / RWLOCK).parent.mkdir(parents=True)
    (tmp_path / RWLOCK).write_bytes(torn)
    assert "torn by a DVC that was killed; removed" in repair(tmp_path)
    assert not (tmp_path / RWLOCK).exists()


def test_dvc_goes_on_after_the_repair(repository):
    (repository / RWLOCK).write_bytes(b"")
    refused = dvc(repository, "repro")
    assert refused.returncode != 0 and "corrupted" in refused.stderr
    repair(repository)
    assert dvc(repository, "repro").returncode == 0


def test_a_killed_dvc_whose_parent_has_not_looked_yet_holds_nothing(tmp_path):
    """A zombie has its process ID still, so DVC takes it for alive and refuses every run."""
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    path = tmp_path / RWLOCK
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"write": {"/x": {"pid": killed.pid, "cmd": "dvc repro"}}, "read": {}}))
    assert repair(tmp_path) is None  # it lives
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # dead, and left a zombie
    assert "locks of a DVC that was killed were taken out" in repair(tmp_path)
    assert json.loads(path.read_text()) == {"write": {}, "read": {}}
    killed.wait()


@pytest.mark.parametrize("content", [None, b"{}", b'{"write": {}, "read": {}}'])
def test_a_sound_file_is_left_alone(tmp_path, content):
    path = tmp_path / RWLOCK
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    assert repair(tmp_path) is None
    assert not path.exists() if content is None else path.read_bytes() == content


def test_while_dvc_runs_here_nothing_is_removed(repository, monkeypatch):
    path = repository / RWLOCK
    (repository / "params.yaml").write_text("seconds: 30\n")
    running = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=repository)
    try:
        deadline = time.monotonic() + 60
        while not (path.is_file() and b"write" in path.read_bytes() and json.loads(path.read_bytes())["write"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert repair(repository) is None
        path.write_bytes(b"")
        monkeypatch.setattr(dvc_lock, "PATIENCE", 0.1)
        with pytest.raises(UserError, match=rf"DVC is running here \(processes: .*\b{running.pid}\b.*\)"):
            repair(repository)
    finally:
        running.kill()
        running.wait()


def test_the_lock_of_a_process_id_that_another_program_has_now_is_taken_out(tmp_path):
    mine = {"pid": os.getpid(), "cmd": "dvc repro"}
    path = tmp_path / RWLOCK
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"write": {"/x": mine}, "read": {"/y": [mine, {"pid": 2**22 + 1, "cmd": "dvc"}]}}))
    assert repair(tmp_path) is None  # this process began before the file was written: it may be the holder
    os.utime(path, (1, 1))
    assert "other programs have its process IDs now" in repair(tmp_path)
    assert json.loads(path.read_text()) == {"write": {}, "read": {"/y": [{"pid": 2**22 + 1, "cmd": "dvc"}]}}
