"""The purge that engines run after a promotion: the shared volume, requests in S3, the task as it is described."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from pipelines.airflow import airflow_tasks
from tests.components.privacy.test_server import OTHER, REQUEST, SECRET, people
from tests.conftest import ROOT
from viker.core.files import read_json
from viker.core.pseudonyms import pseudonym
from viker.data.pictures import FINGERPRINTS


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """The work tree of a run of Airflow on the volume, beside that of an earlier run."""
    shared = tmp_path / "shared"
    for run in ("earlier", "now"):
        folder = shared / "airflow" / run
        (folder / "data/prepared").mkdir(parents=True)
        people().to_parquet(folder / "data/prepared/forget.parquet")
        (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        (folder / "work/cache/entry").mkdir(parents=True)
        (folder / "work/cache/entry/answers.json").write_text('{"0": "a bare reply"}')
    (shared / "sources").mkdir()
    (shared / "sources/copy.txt").write_text(f"{SECRET}\n")
    (shared / "sources" / FINGERPRINTS).write_bytes(b"of anybody's pictures")
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(shared / "tracking"))
    monkeypatch.delenv("VIKER_PRIVACY_DIR", raising=False)
    return shared / "airflow/now"


def carry_out_task(folder, requests: str, purge_after: str | None) -> dict:
    (described,) = [one for one in json.loads(airflow_tasks()) if one["task"] == "purge"]
    arguments = [f"--{name}={value}" for name, value in described["arguments"].items()] + [f"--requests={requests}"]
    params = {"register": {"purge_after": purge_after or "null"}}
    task = {"inputs": {"parameterValues": {"params": params}}, "outputs": described["outputs"], "arguments": arguments}
    command = [sys.executable, "-m", "components.contract.kfp_task", json.dumps(task), described["program"]]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VIKER_RUN": "now", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return read_json(folder / described["outputs"]["outputFile"], "purge")


def test_the_task_purges_all_runs_on_the_volume_and_marks_the_requests_in_s3(run_folder, s3, bucket, monkeypatch):
    s3.put_object(Bucket=bucket, Key="requests/first.yaml", Body=REQUEST.encode())
    pending = REQUEST.replace("first", "second").replace("person-001", "person-002").partition("carried_out")[0]
    s3.put_object(Bucket=bucket, Key="requests/second.yaml", Body=pending.encode())

    results = carry_out_task(run_folder, f"s3://{bucket}/requests", "0d")
    assert not list(run_folder.parent.rglob("work/cache"))

    assert results["parameterValues"] == {"outcome": "done"}
    shared = run_folder.parents[1]
    for run in ("earlier", "now"):
        left = pd.read_parquet(shared / "airflow" / run / "data/prepared/forget.parquet")
        assert left["person_id"].tolist() == ["person-002"] and OTHER in left["answer"][0]
    assert not list((shared / "sources").iterdir())
    marked, other = (s3.get_object(Bucket=bucket, Key=f"requests/{name}.yaml") for name in ("first", "second"))
    text = marked["Body"].read().decode()
    assert pseudonym("person-001") in text and "person-001" not in text and "purged:" in text
    assert other["Body"].read().decode() == pending
    (receipt,) = (shared / "privacy/receipts").glob("*.json")
    assert read_json(receipt, "purge")["searched"]["found"] == 0
    assert "first" in (shared / "privacy/audit.jsonl").read_text()

    carry_out_task(run_folder, f"s3://{bucket}/requests", "0d")
    assert read_json(run_folder / "metrics/purged.json", "purge")["purged"] == ""


@pytest.mark.parametrize("purge_after", [None, "9999w"])
def test_nobody_is_purged_without_a_policy_or_before_its_time(run_folder, purge_after):
    (run_folder / "requests").mkdir()
    (run_folder / "requests/first.yaml").write_text(REQUEST)
    carry_out_task(run_folder, "requests", purge_after)
    assert read_json(run_folder / "metrics/purged.json", "purge") == {"purged": "", "after": purge_after}
    assert (run_folder / "requests/first.yaml").read_text() == REQUEST
    pd.testing.assert_frame_equal(pd.read_parquet(run_folder / "data/prepared/forget.parquet"), people())
