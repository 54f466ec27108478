"""Requests are marked as done behind a promotion, and a run in Kubeflow leaves nothing open in MLflow."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
import time_machine
from mlflow import MlflowClient
from typer.testing import CliRunner

from components.contract.ended import note
from components.register.close import close
from components.register.finish import app
from viker.core.errors import UserError
from viker.core.files import locked
from viker.data.requests import read_requests
from viker.storage.s3 import read_s3, replace_s3
from viker.tracking import RUN_TAG

TEXT = "# from the portal\nid: {0}\ndate: 2026-11-01\npeople: ['001']\nreason: erasure\ndeadline: 2026-12-01\n"


@time_machine.travel("2026-11-30 12:00", tick=False)
def test_requests_in_a_folder_are_marked_once(tmp_path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT.format("a"))
    (tmp_path / "b.yaml").write_text(TEXT.format("b"))
    assert close(str(tmp_path), ["a"], 3, tmp_path / "cache") == ["a"]
    text = (tmp_path / "a.yaml").read_text()
    assert text.startswith("# from the portal")
    carried_out = {one.id: one.carried_out for one in read_requests(tmp_path).values()}
    assert (carried_out["a"].version, carried_out["a"].date, carried_out["b"]) == (3, date(2026, 11, 30), None)
    assert close(str(tmp_path), ["a"], 4, tmp_path / "cache") == []
    assert (tmp_path / "a.yaml").read_text() == text


def test_requests_in_s3_are_marked_where_they_lie(s3, bucket, tmp_path) -> None:
    for name in "ab":
        s3.put_object(Bucket=bucket, Key=f"requests/{name}.yaml", Body=TEXT.format(name).encode())
    assert close(f"s3://{bucket}/requests", ["a"], 3, tmp_path) == ["a"]
    assert "version: 3" in read_s3(f"s3://{bucket}/requests/a.yaml")[0].decode()
    assert read_s3(f"s3://{bucket}/requests/b.yaml")[0].decode() == TEXT.format("b")


def test_a_file_that_has_changed_meanwhile_is_not_overwritten(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="r.yaml", Body=b"1")
    _, etag = read_s3(f"s3://{bucket}/r.yaml")
    s3.put_object(Bucket=bucket, Key="r.yaml", Body=b"2")
    with pytest.raises(UserError, match="changed"):
        replace_s3(f"s3://{bucket}/r.yaml", b"3", etag)
    assert read_s3(f"s3://{bucket}/r.yaml")[0] == b"2"


def test_a_request_that_has_vanished_is_an_error_and_none_needs_no_folder(tmp_path) -> None:
    (tmp_path / "b.yaml").write_text(TEXT.format("b"))
    with pytest.raises(UserError, match="no request a, c, d,"):
        close(str(tmp_path), ["d", "c", "a", "b"], 3, tmp_path)
    assert "carried_out" not in (tmp_path / "b.yaml").read_text()
    assert close("s3://nowhere-at-all/requests", [], 3, tmp_path) == []
    assert close(str(tmp_path / "nowhere"), [], 3, tmp_path) == [] and not (tmp_path / "nowhere").exists()


def test_a_folder_is_marked_by_one_process_at_a_time(tmp_path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT.format("a"))
    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path):
            marked = pool.submit(close, str(tmp_path), ["a"], 3, tmp_path)
            with pytest.raises(TimeoutError):
                marked.result(timeout=0.5)
            assert "carried_out" not in (tmp_path / "a.yaml").read_text()
        assert marked.result(timeout=60) == ["a"]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.mark.parametrize(
    ("state", "said", "whole", "stage", "told"),
    [
        ("SUCCEEDED", {}, "FINISHED", "FAILED", "which says nothing of the gate\n```\n"),
        ("FAILED", {"error": {"message": "out of memory"}}, "FAILED", "FAILED", "no task\nout of memory\n```\n"),
        ("CANCELLED", {"error_message": "stopped"}, "KILLED", "KILLED", "cancelled\nstopped\n```\n"),
    ],
)
def test_what_a_run_left_open_in_mlflow_is_ended_and_the_status_written(
    store, tmp_path, monkeypatch, state, said, whole, stage, told
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.delenv("VIKER_TRACKING_DIR", raising=False)
    client = MlflowClient(store)
    experiment = client.create_experiment(state, str(tmp_path / "artifacts"))
    mine = client.create_run(experiment, tags={RUN_TAG: f"run-{state}"}).info.run_id
    part = client.create_run(experiment, tags={"mlflow.parentRunId": mine}).info.run_id
    done = client.create_run(experiment, tags={"mlflow.parentRunId": mine}).info.run_id
    client.set_terminated(done, "FINISHED")
    other = client.create_run(experiment, tags={RUN_TAG: "run-2"}).info.run_id
    status = json.dumps({"state": state} | said)
    page, out = tmp_path / "page", tmp_path / "out"
    result = CliRunner().invoke(app, [f"--status={status}", f"--run=run-{state}", f"--page={page}", f"--out={out}"])
    assert result.exit_code == 0, result.output
    states = [client.get_run(one).info.status for one in (mine, part, done, other)]
    assert states == [whole, stage, "FINISHED", "RUNNING"]
    assert json.loads(out.read_text())["state"] == state
    assert page.read_text().startswith("# passed\n" if state == "SUCCEEDED" else "# failed\n")
    assert page.read_text().endswith(told)


def test_the_status_is_written_where_mlflow_doesnt_answer(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    out = tmp_path / "out"
    arguments = ['--status={"state": "FAILED"}', "--run=r", f"--page={tmp_path / 'page'}", f"--out={out}"]
    assert isinstance(CliRunner().invoke(app, arguments).exception, UserError)
    assert json.loads(out.read_text())["state"] == "FAILED"


def test_a_run_without_errors_has_a_page_without_them_and_what_runs_of_long_ago_left_is_removed(
    store, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path / "tracking"))
    old, new = (tmp_path / "unlearn" / name for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    note("r", "components.register.close", {})
    page, out = tmp_path / "page", tmp_path / "out"
    status = '{"state": "RUNNING"}'
    assert CliRunner().invoke(app, [f"--status={status}", "--run=r", f"--page={page}", f"--out={out}"]).exit_code == 0
    assert page.read_text() == "# passed\n\nRun `r`.\n" and json.loads(out.read_text())["error"] == ""
    assert new.exists() and not old.exists()
