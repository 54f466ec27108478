"""What stages record reaches MLflow once, whatever is cut off on the way."""

import fcntl
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from viker.core.errors import UserError
from viker.tracking import deliver as delivery
from viker.tracking.deliver import deliver, deliver_now
from viker.tracking.journal import sending


def test_a_stage_is_a_run_below_its_pipelines(tree):
    tree.record("unlearn")
    tree.record("evaluate")
    assert tree.deliver() > 0 and tree.waiting() == []
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
    """Stands for a process that is killed: nothing in the delivery catches it."""


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
    connect, cuts, expected = delivery.connect, 0, None
    tree.record()
    outbox, kept = tree.folder / "work/tracking/outbox", tree.folder / "kept"
    shutil.copytree(outbox, kept)
    for calls in (99, *range(1, 30, 4)):  # the first is longer than a delivery: what an uncut one gives
        shutil.copytree(kept, outbox, dirs_exist_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(delivery, "connect", lambda uri, calls=calls: CutClient(connect(uri), calls))
            try:
                tree.deliver()
            except Cut:
                cuts += 1
        tree.deliver()
        expected = expected or tree.content()
        assert tree.content() == expected, f"cut off after call {calls}"
        assert tree.waiting() == []
        for run in tree.runs().values():
            tree.client.delete_run(run.info.run_id)
    assert cuts > 5


def test_a_stage_that_goes_on_repeats_no_point(tree):
    tree.record(steps=5)
    tree.deliver()
    tree.record(steps=8)
    tree.deliver()
    run = tree.runs()["unlearn"]
    assert [p.step for p in tree.client.get_metric_history(run.info.run_id, "train.loss")] == list(range(1, 9))


def test_while_another_sends_a_part_of_a_run_its_later_parts_wait_and_other_runs_do_not(tree):
    tree.record(steps=5)
    tree.record(steps=8)
    tree.record("evaluate")
    first = tree.waiting()[0].parent
    with sending(first) as mine:
        assert mine
        tree.deliver()
        assert len(tree.waiting()) == 2
        assert "unlearn" not in tree.runs() and tree.runs()["evaluate"].info.status == "FINISHED"
    tree.deliver()
    run = tree.runs()["unlearn"]
    assert [p.step for p in tree.client.get_metric_history(run.info.run_id, "train.loss")] == list(range(1, 9))


def test_what_must_arrive_now_waits_for_the_sender_of_an_earlier_part(tree):
    tree.record(steps=5)
    first = tree.waiting()[0].parent
    with tree.stage("unlearn") as recorded, ThreadPoolExecutor(1) as pool:
        with sending(first):
            with pytest.raises(TimeoutError, match=r"another sender has had the records of this run for 1 seconds"):
                deliver_now(tree.uri, recorded.folder, patience=1)
            run_id = pool.submit(deliver_now, tree.uri, recorded.folder)
        assert run_id.result(60) == tree.runs()["unlearn"].data.tags["mlflow.parentRunId"]


def test_a_killed_stage_is_marked_and_its_records_are_there(tree):
    tree.record()
    records = tree.waiting()[0]
    whole = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(whole[:-1]) + b'{"metr')  # no last record, and one that was cut off
    tree.deliver()
    run = tree.runs()["unlearn"]
    assert run.info.status == "KILLED" and run.data.metrics == {"train.loss": 1 / 3}
    tree.record()
    tree.deliver()
    assert tree.runs()["unlearn"].info.status == "FINISHED"


def test_a_stage_that_runs_is_sent_but_not_ended(tree):
    tree.record()
    records = tree.waiting()[0]
    whole = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(whole[:-1]))
    with records.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert tree.deliver() > 0
        assert tree.deliver() == 0
    assert tree.runs()["unlearn"].info.status == "RUNNING"
    assert tree.waiting() == [records]


def test_a_failed_stage_says_why(tree):
    with pytest.raises(UserError), tree.stage("gate"):
        raise UserError("metrics/evaluate.json: no such file.")
    tree.deliver()
    run = tree.runs()["gate"]
    assert run.info.status == "FAILED" and "no such file" in run.data.tags["error"]


def test_files_are_sent_as_they_were(tree):
    tree.record()
    manifest = tree.folder / "data/prepared/manifest.json"
    before = manifest.read_bytes()
    new = manifest.with_suffix(".new")
    new.write_text("another")
    new.replace(manifest)
    tree.deliver()
    local = tree.client.download_artifacts(tree.runs()["unlearn"].info.run_id, "files/prepared/manifest.json")
    assert Path(local).read_bytes() == before


def test_what_mlflow_refuses_does_not_hold_up_the_rest(tree, caplog):
    with tree.stage("sample") as recorded:
        recorded.params({"k": 1})
        recorded.params({"k": 2})
        recorded.metrics({"images": 5})
    tree.deliver()
    assert tree.runs()["sample"].data.metrics == {"images": 5.0}
    assert "does not take a record" in caplog.text and tree.waiting() == []


def test_where_nothing_answers_all_is_kept(tree, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tree.record()
    with pytest.raises(UserError, match="no tracking store answers"):
        deliver("http://127.0.0.1:9")
    assert len(tree.waiting()) == 1
