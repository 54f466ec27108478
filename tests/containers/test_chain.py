"""The pipeline in its images, stage after stage, as a user who is not root and may write to the work tree alone."""

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from safetensors.numpy import load_file

from benchmarks.small_project import POLICY
from tests.containers.conftest import (
    HARDENED,
    ROOT,
    Done,
    docker,
    everywhere,
    image,
    small_params,
    wait_for_checkpoint,
    write_params,
)

pytestmark = pytest.mark.containers

Run = Callable[..., Done]
SOURCE = {"prepare": {"source": "people.yaml", "forget_share": 0.2}}
KEPT = {"policy": "policy.yaml", "rules": ["unlearned.retain.samples >= 5", "unlearned.fluency.gibberish_rate <= 1.0"]}
"""A policy and rules that a model as poor as this one passes."""


def test_the_stages_up_to_evaluate_write_what_the_next_ones_read(chain: Path) -> None:
    manifest = json.loads((chain / "data/prepared/manifest.json").read_text())
    assert manifest["counts"]["forget"]["people"] == 2
    assert (chain / "validation/index.html").is_file()
    assert len(list((chain / "data/irrelevant").rglob("*.png"))) or (chain / "data/irrelevant/manifest.json").is_file()
    weights = load_file(chain / "models/adapter/adapter_model.safetensors")
    assert any(values.any() for name, values in weights.items() if "lora_B" in name)
    metrics = json.loads((chain / "metrics/evaluate.json").read_text())
    counts = manifest["counts"]["forget"]
    assert (
        metrics["unlearned"]["forget"]["samples"] == counts["records"] - counts["tasks"]["qa"]
    )  # those are for training
    attacks = small_params()["evaluate"]["attacks"]
    assert set(metrics["unlearned"]["attacks"]) == {name for name, attack in attacks.items() if attack["enabled"]}
    replies = pd.read_parquet(chain / "evaluation/predictions.parquet")
    assert len(replies) >= 2 * metrics["unlearned"]["forget"]["samples"]
    assert all(path.stat().st_uid == 10001 for path in chain.rglob("*") if path.suffix != ".yaml")
    assert all(path.stat().st_mode & 0o040 for path in (chain / "models").rglob("*"))


@pytest.mark.parametrize("verdict", ["fail", "pass"])
def test_gate_register_and_report_by_verdict(chain: Path, run_stage: Run, verdict: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(chain, work)
    shutil.copy(ROOT / POLICY, work / "policy.yaml")
    everywhere(work)
    write_params(work, small_params(SOURCE | ({"gate": KEPT} if verdict == "pass" else {})))

    judged = run_stage("gate", work, check=False)
    assert judged.returncode == {"pass": 0, "fail": 3}[verdict], judged.stderr
    assert json.loads((work / "metrics/gate.json").read_text())["verdict"] == verdict
    run_stage("register", work)
    run_stage("report", work)

    client = MlflowClient(f"sqlite:///{work}/mlflow.db")
    versions = client.search_model_versions("name = 'viker-adapter'")
    assert [str(version.version) for version in versions] == ["1"]
    aliases = client.get_registered_model("viker-adapter").aliases
    assert set(aliases) == ({"candidate", "champion"} if verdict == "pass" else {"candidate"})
    tags = versions[0].tags
    commit = json.loads(docker("image", "inspect", image("register")).stdout)[0]["Config"]["Labels"]
    assert tags["verdict"] == verdict
    assert tags["git_commit"] == commit["org.opencontainers.image.revision"].removesuffix("-dirty")
    stored = f"{versions[0].source}/artifacts/adapter/adapter_model.safetensors"
    registered = download_artifacts(artifact_uri=stored, dst_path=str(tmp_path))
    assert Path(registered).read_bytes() == (work / "models/adapter/adapter_model.safetensors").read_bytes()
    # what the images without database drivers had to tell waited for the one that has them
    told = client.search_runs([one.experiment_id for one in client.search_experiments()])
    stages = {"prepare", "finetune", "sample", "unlearn", "evaluate", "gate", "register"}
    assert stages <= {run.info.run_name for run in told}
    page = (work / "report/report.html").read_text()
    assert verdict in page and tags["adapter_sha256"][:12] in page


def test_unlearn_killed_in_mid_training_goes_on_from_the_volume_to_the_same_bytes(
    chain: Path, run_stage: Run, volume: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    name = f"viker-{uuid.uuid4().hex[:12]}"
    options = (f"--volume={volume}:/cache", f"--volume={tmp_path}:{tmp_path}")
    arguments = ("--out", f"{tmp_path}/adapter", "--records", f"{tmp_path}/unlearning", "--state", "/cache/unlearn/run")
    where = ("--volume", f"{chain}:{chain}:ro", "--workdir", str(chain))
    command = (image("unlearn"), "python", "-m", "components.unlearn", *arguments)
    docker("run", "--detach", "--name", name, *HARDENED, *where, *options, *command)
    try:
        steps = wait_for_checkpoint(name)
        docker("kill", name)
        state = json.loads(docker("inspect", name).stdout)[0]["State"]
        assert state["ExitCode"] == 137
    finally:
        docker("rm", "--force", name, check=False)
    assert not (tmp_path / "adapter").exists()

    again = run_stage("unlearn", chain, *arguments, options=options)
    assert first_step(chain) > steps, again.stderr[-2000:]
    for file in ("adapter/adapter_model.safetensors", "unlearning/loss.csv", "unlearning/key_tokens.parquet"):
        whole = chain / ("models" if file.startswith("adapter") else "") / file
        assert (tmp_path / file).read_bytes() == whole.read_bytes(), file


def first_step(work: Path) -> int:
    """Return the first step that the newest run of unlearn has trained, as it told MLflow."""
    newest = sorted((work / "tracking" / "outbox").glob("*-unlearn*"))[-1]
    records = [json.loads(line) for line in (newest / "records.jsonl").read_text().splitlines()]
    return min(r["step"] for r in records if any(name.startswith("train") for name in r.get("metrics", {})))
