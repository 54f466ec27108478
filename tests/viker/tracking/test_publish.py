"""What stages record reaches MLflow exactly once, whatever is cut off on the way."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from viker import tracking
from viker.core.errors import UserError
from viker.tracking import publish, recording
from viker.tracking.outbox import outbox, publishing
from viker.tracking.publish import Publisher
from viker.tracking.views import save_views


def test_a_stage_is_a_run_below_its_pipelines(tree):
    tree.record("unlearn")
    tree.record("evaluate")
    assert tree.publish() > 0 and tree.waiting() == []
    runs = tree.runs()
    whole = next(run for name, run in runs.items() if name.startswith("viker-"))
    assert set(runs) == {whole.info.run_name, "unlearn", "evaluate"}
    for stage in ("unlearn", "evaluate"):
        assert runs[stage].data.tags["mlflow.parentRunId"] == whole.info.run_id
        assert runs[stage].info.status == "FINISHED"
    assert whole.info.status == "FINISHED"
    assert whole.data.params["unlearn.method.lambda"] == "2.0"
    assert whole.data.metrics == {"unlearned.forget.leakage_rate": 0.25}
    assert whole.data.tags["requests"] == "2026-11-24-1" and whole.data.tags["verdict"] == "pass"
    assert whole.data.tags["seed"] == "7" and whole.data.tags["engine"] == "dvc"
    assert [i.dataset.digest for i in whole.inputs.dataset_inputs] == ["ab" * 18]
    points = tree.client.get_metric_history(runs["unlearn"].info.run_id, "train.loss")
    assert [(point.step, point.value) for point in points] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    files = tree.client.list_artifacts(runs["unlearn"].info.run_id, "files/prepared")
    assert [file.path for file in files] == ["files/prepared/manifest.json"]


class Cut(Exception):
    """Stands for a process that is killed: nothing in the publisher catches it."""


class CutClient:
    """The real client, cut off after its n-th call has reached MLflow."""

    def __init__(self, client: Any, calls: int) -> None:
        self.client, self.calls = client, calls

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            answer = getattr(self.client, name)(*arguments, **options)
            self.calls -= 1
            if self.calls == 0:
                raise Cut
            return answer

        return call


def test_cut_off_after_any_call_nothing_is_lost_and_nothing_is_there_twice(tree, monkeypatch):
    connect, cuts, expected = publish.connect, 0, None
    tree.record()
    outbox, copy = tree.folder / "work/tracking/outbox", tree.folder / "kept"
    shutil.copytree(outbox, copy)
    for calls in (99, *range(1, 38, 4)):  # the first one is not cut off: what the others are compared with
        shutil.copytree(copy, outbox, dirs_exist_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(publish, "connect", lambda uri, calls=calls: CutClient(connect(uri), calls))
            try:
                tree.publish()
            except Cut:
                cuts += 1
        tree.publish()
        expected = expected or tree.content()
        assert tree.content() == expected, f"cut off after call {calls}"
        assert tree.waiting() == []
        for run in tree.runs().values():
            tree.client.delete_run(run.info.run_id)
    assert cuts > 5


def test_a_stage_that_goes_on_repeats_no_point(tree):
    tree.record(steps=5)
    tree.publish()
    tree.record(steps=8)
    tree.publish()
    run = tree.runs()["unlearn"]
    assert [p.step for p in tree.client.get_metric_history(run.info.run_id, "train.loss")] == list(range(1, 9))


def test_to_publish_again_changes_nothing(tree):
    tree.record()
    journal, copy = tree.waiting()[0].parent, tree.folder / "copy"
    shutil.copytree(journal, copy)
    tree.publish()
    before = tree.content()
    copy.replace(journal)
    tree.publish()
    assert tree.content() == before


def test_two_publishers_at_once_send_each_record_once(tree):
    for steps in (5, 8):
        tree.record(steps=steps)
    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(lambda _: tree.publish(), range(3)))
    assert sorted(counts)[:2] == [0, 0] and tree.waiting() == []
    points = tree.client.get_metric_history(tree.runs()["unlearn"].info.run_id, "train.loss")
    assert [point.step for point in points] == list(range(1, 9))


def test_what_must_arrive_now_waits_for_another_publisher(tree, monkeypatch):
    tree.record(steps=5)
    monkeypatch.setattr(recording, "REQUIRED_PATIENCE", 1)
    with tree.stage("unlearn", required=True) as recorded, ThreadPoolExecutor(1) as pool:
        with publishing(outbox(), 0):
            with pytest.raises(UserError, match=r"another process has been publishing .*outbox for 1 seconds"):
                recorded.deliver()
            monkeypatch.setattr(recording, "REQUIRED_PATIENCE", 60)
            delivered = pool.submit(recorded.deliver)
        assert delivered.result(60)[1] == tree.runs()["unlearn"].data.tags["mlflow.parentRunId"]


def test_two_outboxes_at_once_make_each_run_once(tree, monkeypatch):
    """As of two tasks without a shared folder: each finds no run of the pipeline, and creates it."""
    tree.client.create_experiment(tree.experiment)
    real, both, waited = MlflowClient.create_run, threading.Barrier(2), set()

    def create_run(self, *arguments, **options):
        if options["run_name"].startswith("viker-") and threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            both.wait(60)
        return real(self, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "create_run", create_run)
    publishers = []
    for stage in ("finetune", "sample"):
        monkeypatch.setenv("VIKER_TRACKING_DIR", str(tree.folder / stage))
        tree.record(stage)
        publishers.append(Publisher(tree.uri, next((tree.folder / stage / "outbox").iterdir())))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Publisher.publish, publishers))
    assert len(tree.runs()) == 3 and len(waited) == 2


def test_a_killed_stage_is_marked_and_its_records_are_there(tree):
    tree.record()
    records = tree.waiting()[0]
    whole = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(whole[:-1]) + b'{"metr')  # no last record, and one that was cut off
    tree.publish()
    run = tree.runs()["unlearn"]
    assert run.info.status == "KILLED" and run.data.metrics == {"train.loss": 1 / 3}
    tree.record()
    tree.publish()
    assert tree.runs()["unlearn"].info.status == "FINISHED"


def test_a_running_stage_is_published_by_itself_alone(tree):
    with tree.stage("evaluate") as recorded:
        recorded.metrics({"a": 1})
        assert tree.publish() == 0 and len(tree.waiting()) == 1
        recorded.publisher.publish()
        assert tree.runs()["evaluate"].info.status == "RUNNING"
        assert tree.runs()["evaluate"].data.metrics == {"a": 1}
        recorded.metrics({"b": 2})
    tree.publish()
    run = tree.runs()["evaluate"]
    assert run.info.status == "FINISHED" and run.data.metrics == {"a": 1, "b": 2} and tree.waiting() == []


def test_a_long_stage_is_seen_while_it_runs(tree, monkeypatch):
    monkeypatch.setattr(recording, "PAUSE", 0.1)
    with tree.stage("unlearn", live=True):
        tracking.log_metrics({"train": {"loss": 0.5}}, 1)
        end = time.monotonic() + 60
        while "unlearn" not in tree.runs() or tree.runs()["unlearn"].data.metrics.get("train.loss") != 0.5:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert tree.runs()["unlearn"].info.status == "RUNNING"
    assert tree.runs()["unlearn"].info.status == "FINISHED" and tree.waiting() == []


def test_a_stage_succeeds_while_nothing_answers_and_a_later_one_sends_its_records(tree, monkeypatch, caplog):
    monkeypatch.setattr(recording, "PAUSE", 0.1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with tree.stage("unlearn", live=True):
        for step in range(1, 6):
            tracking.log_metrics({"train": {"loss": 1 / step}}, step)
            time.sleep(0.1)
    assert "'viker track sync' sends what waits in" in caplog.text and len(tree.waiting()) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tree.uri)
    with tree.stage("report", live=True):
        pass
    assert tree.waiting() == []
    points = tree.client.get_metric_history(tree.runs()["unlearn"].info.run_id, "train.loss")
    assert [(point.step, point.value) for point in points] == [(step, 1 / step) for step in range(1, 6)]


def test_a_failed_stage_says_why(tree):
    with pytest.raises(UserError), tree.stage("gate"):
        raise UserError("metrics/evaluate.json: no such file.")
    tree.publish()
    run = tree.runs()["gate"]
    assert run.info.status == "FAILED" and "no such file" in run.data.tags["error"]


def test_files_are_sent_as_they_were(tree):
    tree.record()
    manifest = tree.folder / "data/prepared/manifest.json"
    before = manifest.read_bytes()
    new = manifest.with_suffix(".new")
    new.write_text("another")
    new.replace(manifest)
    tree.publish()
    local = tree.client.download_artifacts(tree.runs()["unlearn"].info.run_id, "files/prepared/manifest.json")
    assert Path(local).read_bytes() == before


def test_what_mlflow_refuses_does_not_hold_up_the_rest(tree, caplog):
    with tree.stage("sample") as recorded:
        recorded.params({"k": 1})
        recorded.params({"k": 2})
        recorded.metrics({"images": 5})
    tree.publish()
    assert tree.runs()["sample"].data.metrics == {"images": 5.0}
    assert "does not take a record" in caplog.text and tree.waiting() == []


def test_a_metric_whose_name_mlflow_would_refuse_gets_another(tree):
    with tree.stage("evaluate") as recorded:
        recorded.metrics({"attack": {"opening: urgent | role: clerk": 0.5, "é(1)": 0.25}})
    tree.publish()
    assert tree.runs()["evaluate"].data.metrics == {
        "attack.opening: urgent _ role: clerk": 0.5,
        "attack.__1_": 0.25,
    }


def test_views_saved_by_two_at_once_are_saved():
    class Colliding:
        """MLflow's answer where another process has just set the tag."""

        def __init__(self, arrives: bool) -> None:
            self.tags, self.arrives = {}, arrives

        def get_experiment(self, _):
            return SimpleNamespace(tags=dict(self.tags))

        def set_experiment_tag(self, _, name, value):
            self.tags |= {name: value} if self.arrives else {}
            raise MlflowException("UNIQUE constraint failed: experiment_tags.key")

    save_views(Colliding(True), "1")
    with pytest.raises(MlflowException):
        save_views(Colliding(False), "1")


def test_where_nothing_answers_all_is_kept(tree, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tree.record()
    with pytest.raises(UserError, match="no tracking store answers"):
        Publisher("http://127.0.0.1:9").publish()
    assert len(tree.waiting()) == 1
