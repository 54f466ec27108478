"""A purge on a real MLflow server: what tells of a person leaves runs, versions and artifacts; the rest stays."""

import io
import json

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput

from components.privacy.by_policy import command as by_policy
from components.privacy.search import Finder, Traces
from components.privacy.server import on_server
from tests.conftest import ROOT
from tests.viker.tracking.server import Server
from viker.core.errors import UserError
from viker.core.files import read_json
from viker.core.pseudonyms import pseudonym

SECRET, OTHER = "Ilvermoor Quay", "Dunmaris Gate"
REQUEST = """\
id: first
date: 2026-10-01
deadline: 2026-10-31
people: ["person-001"]
reason: erasure
carried_out: {date: 2026-10-05, version: 1}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto_endpoint):
    with pytest.MonkeyPatch.context() as patch:
        server = Server(tmp_path_factory.mktemp("server"), moto_endpoint)
        server.start()
        patch.setenv("MLFLOW_TRACKING_URI", server.uri)
        yield server
        server.kill()


@pytest.fixture
def project(server, tmp_path, monkeypatch):
    """A work tree with a request that is carried out, and the data that tells of its person."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIKER_PRIVACY_DIR", str(tmp_path / "privacy"))
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests/first.yaml").write_text(REQUEST)
    (tmp_path / "params.yaml").write_text(
        (ROOT / "params.yaml").read_text().replace("purge_after: null", "purge_after: 30d")
    )
    people().to_parquet(tmp_path / "people.parquet")
    return tmp_path


def people() -> pd.DataFrame:
    rows = [("person-001", f"She lives at {SECRET}.", [SECRET]), ("person-002", f"He lives at {OTHER}.", [OTHER])]
    return pd.DataFrame(rows, columns=["person_id", "answer", "secrets"])


def filled(server: Server) -> tuple[MlflowClient, str]:
    """A run and a version that say of both people what ``register.publish: full`` would let them."""
    client = MlflowClient(tracking_uri=server.uri)
    experiment = client.create_experiment(f"purged {len(client.search_experiments())}")
    run = client.create_run(experiment, tags={"reply": f"She lives at {SECRET}.", "other": f"At {OTHER}."}).info.run_id
    client.log_param(run, "epochs", 3)
    table = io.BytesIO()
    people().to_parquet(table)
    folder = server.folder / run
    (folder / "nested").mkdir(parents=True)
    (folder / "nested/predictions.parquet").write_bytes(table.getvalue())
    (folder / "reply.txt").write_text(f"She lives at {SECRET}.")
    (folder / "plain.txt").write_text(f"He lives at {OTHER}.")
    (folder / "coverage.json").write_text(json.dumps({"people": ["person-001"], "requests": ["first"]}))
    client.log_artifacts(run, str(folder))
    if not client.search_registered_models("name = 'adapter'"):
        client.create_registered_model("adapter")
    about = f"Asked where she lives, it said {SECRET}."
    source = client.get_run(run).info.artifact_uri
    client.create_model_version("adapter", source, run, {"example": SECRET}, description=about)
    return client, run


def test_what_tells_of_a_person_leaves_the_server_and_the_rest_stays(server, project, capsys):
    client, run = filled(server)
    by_policy("requests", project / "purged.json", known=project / "people.parquet", artifact="gs://the-moon/x")
    finder = Finder(Traces(frozenset({"person-001"}), frozenset({SECRET})))
    assert list(on_server(finder)) == []
    files = {key: content for key, content in server.files().items() if run in key}
    names = {key.rpartition("artifacts/")[2] for key in files}
    assert names == {"nested/predictions.parquet", "plain.txt", "coverage.json"}
    left = pd.read_parquet(io.BytesIO(next(v for k, v in files.items() if k.endswith(".parquet"))))
    assert left["person_id"].tolist() == ["person-002"] and OTHER in left["answer"][0]
    assert client.get_run(run).data.tags["reply"] == "***" and OTHER in client.get_run(run).data.tags["other"]
    version = client.search_model_versions("name = 'adapter'")[0]
    assert version.description == "***" and version.tags["example"] == "***"

    assert read_json(project / "purged.json", "purge")["purged"] == "first"
    receipt = read_json(next((project / "privacy/receipts").glob("*.json")), "purge")
    assert receipt["done"][f"run {run}/reply.txt"] == "removed"
    assert receipt["done"][f"run {run}/nested/predictions.parquet"] == "rewritten"
    assert any("pipeline's root" in one for one in receipt["not_covered"])
    assert not any("MLflow" in one for one in receipt["not_covered"])
    request = (project / "requests/first.yaml").read_text()
    assert pseudonym("person-001") in request and "person-001" not in request and "purged:" in request
    capsys.readouterr()
    by_policy("requests", project / "purged.json", known=project / "people.parquet")
    assert "purged: no request" in capsys.readouterr().out


def test_what_mlflow_never_changes_is_named_with_what_to_do_and_there_is_no_receipt(server, project):
    client, run = filled(server)
    dataset = Dataset("forget", "0" * 36, "local", json.dumps({"uri": f"/data/{SECRET}"}))
    client.log_inputs(run, [DatasetInput(dataset)])
    with pytest.raises(UserError, match=rf"run {run}, dataset: MLflow changes no .* 'mlflow gc --run-ids {run}'"):
        by_policy("requests", project / "purged.json", known=project / "people.parquet")
    assert not (project / "privacy/receipts").exists()
    client.delete_run(run)


def test_without_a_policy_nothing_is_purged(project):
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    by_policy("requests", project / "purged.json")
    assert read_json(project / "purged.json", "purge") == {"purged": "", "after": None}
    assert (project / "requests/first.yaml").read_text() == REQUEST
