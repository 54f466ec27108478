"""A purge in an object store: what Kubeflow's runs wrote loses a person, whatever its versions; the rest stays."""

import io
from uuid import UUID

import pandas as pd
import pytest

from components.privacy.by_policy import command as by_policy
from components.privacy.objects import pipeline_root
from pipelines.cli.purge import purge
from tests.components.privacy.test_server import OTHER, REQUEST, SECRET, people
from tests.conftest import ROOT
from viker.core.errors import UserError
from viker.core.files import read_json

RUNS = [str(UUID(int=1)), str(UUID(int=2))]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A work tree with a request that is carried out, and the data that tells of its person."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIKER_PRIVACY_DIR", str(tmp_path / "privacy"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests/first.yaml").write_text(REQUEST)
    text = (ROOT / "params.yaml").read_text().replace("purge_after: null", "purge_after: 30d")
    (tmp_path / "params.yaml").write_text(text)
    people().to_parquet(tmp_path / "people.parquet")
    return tmp_path


@pytest.fixture
def root(s3, bucket) -> str:
    """The prefix of two runs; beside it lies the source, which is nobody's to purge."""
    table = io.BytesIO()
    people().to_parquet(table)
    for run in RUNS:
        for name, content in {
            "prepare/7/prepared/forget.parquet": table.getvalue(),
            "evaluate/8/answers/answers.json": f'["She lives at {SECRET}."]'.encode(),
            "unlearn/9/adapter/adapter_model.safetensors": SECRET.encode(),
            "report/10/report": f"<p>{OTHER}</p>".encode(),
        }.items():
            s3.put_object(Bucket=bucket, Key=f"v2/artifacts/viker/{run}/{name}", Body=content)
    s3.put_object(Bucket=bucket, Key="v2/source.txt", Body=SECRET.encode())
    return f"s3://{bucket}/v2/artifacts/viker"


def objects(s3, bucket) -> dict[str, bytes]:
    """Return all versions of all objects."""
    found = s3.list_object_versions(Bucket=bucket).get("Versions", [])
    which = [(one["Key"], one["VersionId"]) for one in found]
    return {
        f"{key} {version}": s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read()
        for key, version in which
    }


@pytest.mark.parametrize(("versions", "scheme"), [(False, "s3"), (True, "minio")])
def test_all_runs_below_the_root_lose_the_person(versions, scheme, project, s3, bucket, root, monkeypatch) -> None:
    key = f"v2/artifacts/viker/{RUNS[0]}/report/10/report"
    if versions:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=bucket, Key=key, Body=f"{SECRET}, as it was".encode())
        s3.put_object(Bucket=bucket, Key=key, Body=OTHER.encode())
    if scheme == "minio":
        monkeypatch.setenv("VIKER_ROOT_ENDPOINT", s3.meta.endpoint_url)
        monkeypatch.setenv("accesskey", "unit-test-id")
        monkeypatch.setenv("secretkey", "unit-test-secret")
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
    address = f"{root.replace('s3', scheme, 1)}/{RUNS[1]}/prepare/7/prepared"
    by_policy("requests", project / "purged.json", known=project / "people.parquet", artifact=address)

    left = objects(s3, bucket)
    assert not any("answers" in name for name in left)
    assert {name.rpartition("/")[2].split()[0] for name, content in left.items() if SECRET.encode() in content} == {
        "adapter_model.safetensors",
        "source.txt",
    }
    for run in RUNS:
        (table,) = (content for name, content in left.items() if run in name and ".parquet" in name)
        assert pd.read_parquet(io.BytesIO(table))["person_id"].tolist() == ["person-002"]
        assert any(run in name and "report" in name for name in left)
    receipt = read_json(next((project / "privacy/receipts").glob("*.json")), "purge")
    done = {name.partition(", version")[0]: how for name, how in receipt["done"].items()}
    place = f"object {bucket}/v2/artifacts/viker/{RUNS[0]}"
    assert done[f"{place}/prepare/7/prepared/forget.parquet"] == "rewritten"
    assert done[f"{place}/evaluate/8/answers/answers.json"] == "removed"
    assert not any("pipeline's root" in one for one in receipt["not_covered"])
    by_policy("requests", project / "purged.json", known=project / "people.parquet", artifact=address)
    assert objects(s3, bucket) == left


def test_by_hand_it_is_listed_first_and_a_store_that_refuses_leaves_no_receipt(project, s3, bucket, root, capsys):
    before = objects(s3, bucket)
    purge(["first"], also=[root])
    assert f"object {bucket}/v2/artifacts/viker/{RUNS[0]}/prepare/7/prepared/forget.parquet" in capsys.readouterr().out
    assert objects(s3, bucket) == before
    with pytest.raises(UserError, match="there is no such bucket"):
        purge(["first"], yes=True, also=[f"s3://{bucket}-other/v2"])
    assert not list((project / "privacy").glob("receipts/*.json"))


def test_a_root_that_is_not_reached_is_in_the_receipt(project) -> None:
    artifact = f"minio://mlpipeline/v2/artifacts/viker/{RUNS[0]}/prepare/7/prepared"
    by_policy("requests", project / "purged.json", known=project / "people.parquet", artifact=artifact)
    receipt = read_json(next((project / "privacy/receipts").glob("*.json")), "purge")
    assert any(one.startswith("the pipeline's root") for one in receipt["not_covered"])


@pytest.mark.parametrize(
    ("artifact", "root"),
    [
        (f"s3://viker/a/viker/{RUNS[0]}/prepare/7/prepared?region=x", "s3://viker/a/viker"),
        (f"s3://b/viker/{RUNS[0]}/viker/7/viker", "s3://b/viker"),
        (f"gs://b/viker/{RUNS[0]}/prepare/7/prepared", None),
        ("s3://b/viker/data/prepared", None),  # no run: it could be anything
    ],
)
def test_the_root_is_the_prefix_of_the_pipelines_runs_and_nothing_wider(artifact, root) -> None:
    assert pipeline_root(artifact) == root
