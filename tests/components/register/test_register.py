"""The registry holds what was evaluated, and the champion is an adapter whose gate passed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from components.contract.params import load_params
from components.register.run import run
from components.register.stage import Arguments
from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.evidence.seal import seal

if TYPE_CHECKING:
    from tests.registry import Work


def nothing_registered(work: Work) -> bool:
    try:
        work.client.get_registered_model(work.name)
    except MlflowException:
        return work.client.get_experiment_by_name(work.folder.name) is None
    return False


def test_a_passed_gate_makes_the_version_candidate_and_champion(work: Work) -> None:
    registered = work.register()

    assert work.aliases() == {"candidate": 1, "champion": 1}
    assert registered["aliases"] == ["candidate", "champion"]
    assert json.loads((work.folder / "metrics/register.json").read_text()) == registered


def test_a_failed_gate_leaves_the_champion_where_it_was(work: Work) -> None:
    work.register()
    work.unlearn(seed=1)
    work.evaluate(leakage=0.4)

    registered = work.register()

    assert (registered["version"], registered["aliases"]) == (2, ["candidate"])
    assert work.aliases() == {"candidate": 2, "champion": 1}


def test_without_any_passed_gate_there_is_no_champion(work: Work) -> None:
    work.evaluate(leakage=None)
    work.register()
    assert work.aliases() == {"candidate": 1}


def test_the_champion_moves_to_the_next_adapter_that_passes(work: Work) -> None:
    work.register()
    work.unlearn(seed=1)
    work.evaluate(leakage=0.0)
    work.register()
    assert work.aliases() == {"candidate": 2, "champion": 2, "previous": 1}


def test_the_same_inputs_again_make_no_second_run_or_version(work: Work) -> None:
    first = work.register()
    assert work.register() == first

    experiment = work.client.get_experiment_by_name(work.folder.name)
    runs = work.client.search_runs([experiment.experiment_id])
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 1
    assert len(work.versions()) == 1


def test_the_version_says_which_forget_requests_it_carries_out(work: Work) -> None:
    work.prepare(["003"], "2026-11-24-1", "court-7")
    work.evaluate()
    work.register()
    assert work.versions()[0].tags["requests"] == "2026-11-24-1, court-7"


def test_a_registration_that_was_cut_off_leaves_no_version_and_can_be_repeated(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifact", lambda *a, **k: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(UserError, match="full"):
            work.register()
    assert work.versions() == []

    work.register()

    assert len(work.versions()) == 1 and work.aliases() == {"candidate": 1, "champion": 1}


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("adapter", "models/adapter/adapter_config.json"),
        ("model", "models/vanilla/config.json"),
        ("data", "data/prepared/manifest.json"),
    ],
)
def test_files_that_were_not_evaluated_are_not_registered(work: Work, name: str, changed: str) -> None:
    with (work.folder / changed).open("a") as stream:
        stream.write(" ")
    others = {"adapter", "model", "data"} - {name}

    with pytest.raises(UserError, match=rf"SHA-256 of {name} .*'viker evaluate'") as error:
        work.register()

    assert not any(f"{other} (" in str(error.value) for other in others)
    assert nothing_registered(work)
    assert not (work.folder / "metrics/register.json").exists()


def test_metrics_without_hashes_register_nothing(work: Work) -> None:
    metrics = json.loads((work.folder / "metrics/evaluate.json").read_text())
    del metrics["inputs"]
    (work.folder / "metrics/evaluate.json").write_text(json.dumps(seal(metrics)))
    with pytest.raises(UserError, match=r"adapter .*; model .*; data "):
        work.register()
    assert nothing_registered(work)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda gate: gate["rules"][0].update(value=0.01), "has another result"),
        (lambda gate: gate["rules"][0].update(passed=False), "has another result"),
        (
            lambda gate: gate["rules"][0].update(rule="unlearned.forget.leakage_rate <= 0.99"),
            "is not among its results",
        ),
        (lambda gate: gate["rules"].clear(), "is not among its results"),
        (lambda gate: gate["require"].pop(), "lacks the check"),
        (lambda gate: gate.update(verdict="fail"), "its rules say 'pass'"),
        (lambda gate: gate["require"].append({"rule": "the data", "passed": False}), "results that are of no rule"),
        (lambda gate: gate["own"].update(rules=["unlearned.forget.leakage_rate <= 0.99"]), "section gate"),
        (lambda gate: gate.update(policy="benchmark"), "by the policy 'benchmark', params.yaml now says the policy"),
        (lambda gate: gate["inputs"].update(metrics="0" * 64), "measured again after the gate"),
        (lambda gate: gate["inputs"].update(model="0" * 64), "another model"),
    ],
)
def test_a_verdict_about_other_metrics_or_by_another_policy_registers_nothing(work: Work, edit, problem: str) -> None:
    path = work.folder / "metrics/gate.json"
    gate = json.loads(path.read_text())
    edit(gate)
    path.write_text(json.dumps(seal(gate)))
    with pytest.raises(UserError, match=problem):
        work.register()
    assert nothing_registered(work)


def test_an_edited_verdict_registers_nothing(work: Work) -> None:
    work.evaluate(leakage=0.4)
    path = work.folder / "metrics/gate.json"
    path.write_text(path.read_text().replace('"fail"', '"pass"'))
    with pytest.raises(UserError, match="was edited"):
        work.register()
    assert nothing_registered(work)


@pytest.mark.parametrize("sealed", [False, True])
def test_edited_metrics_register_nothing(work: Work, sealed: bool) -> None:
    path = work.folder / "metrics/evaluate.json"
    content = json.loads(path.read_text())
    content["unlearned"]["forget"]["leakage_rate"] = 0.0001
    path.write_text(json.dumps(seal(content) if sealed else content))
    with pytest.raises(UserError, match=r"edited after evaluate wrote it|measured again after the gate"):
        work.register()
    assert nothing_registered(work)


def test_metrics_of_other_settings_or_of_another_shape_register_nothing(work: Work) -> None:
    work.params = work.params.model_copy(update={"seed": 8})
    with pytest.raises(UserError, match=r"not measured on the files .* params \(seed and evaluate\)"):
        work.register()
    (work.folder / "metrics/gate.json").write_text("[]")
    with pytest.raises(UserError, match="expected a JSON object, found list"):
        work.register()
    assert nothing_registered(work)


def test_the_version_says_what_it_was_made_from(work: Work) -> None:
    run_id = work.register()["run_id"]

    version = work.versions()[0]
    assert version.run_id == run_id
    assert version.tags["adapter_sha256"] == sha256_path(work.folder / "models/adapter")
    assert version.tags["model_sha256"] == sha256_path(work.folder / "models/vanilla")
    assert version.tags["data_sha256"] == sha256_path(work.folder / "data/prepared/manifest.json")
    assert version.tags["verdict"] == "pass"
    tags = work.client.get_run(run_id).data.tags
    assert tags["verdict"] == "pass" and tags["adapter_sha256"] == version.tags["adapter_sha256"]


def test_the_commit_of_the_work_tree_is_in_the_lineage(work: Work) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"]
        command = ["git", "-C", str(work.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "params.yaml")
    git("commit", "-q", "-m", "parameters")
    work.register()
    assert work.versions()[0].tags["git_commit"] == git("rev-parse", "HEAD")


def test_outside_a_repository_there_is_no_commit_and_no_error(work: Work) -> None:
    work.register()
    assert "git_commit" not in work.versions()[0].tags


def test_the_run_holds_parameters_and_metrics(work: Work) -> None:
    run_id = work.register()["run_id"]

    data = work.client.get_run(run_id).data
    assert data.params["unlearn.method.lambda"] == "2.0"
    assert data.params["gate.rules"] == json.dumps(work.params.gate.rules)
    assert data.metrics["unlearned.forget.leakage_rate"] == 0.05
    assert data.tags["verdict"] == "pass"
    assert "unlearned.forget.truth_ratio" not in data.metrics


def test_the_champion_can_be_downloaded_by_its_alias(work: Work, tmp_path: Path) -> None:
    work.register()
    folder = mlflow.artifacts.download_artifacts(
        f"models:/{work.name}@champion", dst_path=str(tmp_path / "down"), tracking_uri=work.client.tracking_uri
    )
    assert sha256_path(Path(folder) / "artifacts/adapter/adapter_model.safetensors") == sha256_path(
        work.folder / "models/adapter/adapter_model.safetensors"
    )


def test_the_version_keeps_its_evidence(work: Work, tmp_path: Path) -> None:
    work.register()
    source = work.client.get_model_version_download_uri(work.name, "1")
    folder = Path(mlflow.artifacts.download_artifacts(f"{source}/evidence", dst_path=str(tmp_path / "down")))
    for file in (
        "metrics/evaluate.json",
        "metrics/gate.json",
        "params.yaml",
        "data/prepared/manifest.json",
        "unlearning/summary.json",
    ):
        assert (folder / Path(file).name).read_bytes() == (work.folder / file).read_bytes()
    assert json.loads((folder / "coverage.json").read_text()) == {"people": [], "requests": []}


def test_the_evidence_has_its_names_whatever_an_engine_calls_the_files(work: Work, tmp_path: Path) -> None:
    """Kubeflow's files have the names of its artifacts; promotion looks for gate.json and evaluate.json."""
    f = work.folder
    for name, file in (("judged", "gate"), ("measured", "evaluate")):
        (f / name).write_bytes((f / f"metrics/{file}.json").read_bytes())
    adapter, model, prepared = f / "models/adapter", f / "models/vanilla", f / "data/prepared"
    files = (f / "unlearning", f / "measured", f / "judged", f / "metrics/register.json")
    params = load_params(f / "params.yaml")
    run(params, f / "params.yaml", Arguments(adapter, model, prepared, *files, True))
    assert work.aliases() == {"candidate": 1, "champion": 1}


def test_a_server_that_does_not_answer_is_named_without_its_password(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://clerk:hunter2@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"http://\*\*\*@127\.0\.0\.1:9.*MLFLOW_TRACKING_URI") as error:
        work.register()
    assert "hunter2" not in str(error.value)
    assert not (work.folder / "metrics/register.json").exists()


def test_a_deleted_experiment_is_explained(work: Work) -> None:
    work.register()
    experiment = work.client.get_experiment_by_name(work.folder.name)
    work.client.delete_experiment(experiment.experiment_id)
    with pytest.raises(UserError, match=r"was deleted in MLflow.*mlflow experiments restore"):
        work.register()


@pytest.mark.slow
def test_the_command_prints_one_line_and_keeps_everything_in_the_work_tree(work: Work) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "components.register"],
        cwd=work.folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3]), "HOME": str(work.folder)},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{work.name} version 1: candidate, champion")
    assert json.loads((work.folder / "metrics/register.json").read_text())["tracking_uri"] == "sqlite:///mlflow.db"
    assert (work.folder / "mlflow.db").is_file()
    assert list((work.folder / "mlartifacts").glob("*/artifacts/model-*/artifacts/adapter/adapter_model.safetensors"))
    assert not (work.folder / "mlruns").exists()
