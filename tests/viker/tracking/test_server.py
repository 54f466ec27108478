"""The whole pipeline against a real MLflow server that is killed and comes back."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from components.contract.params import load_params
from tests.viker.tracking.pages import compare_page, new_page, points, runs_page
from tests.viker.tracking.server import Server
from tests.viker.tracking.tree import STAGES, change, ended, environment, run, run_chain, small_tree, start_python
from viker import tracking
from viker.core.nested import main_metrics

pytestmark = pytest.mark.slow
EPOCHS = 80  # long enough for the server to have seen a step before the training is over
UNLEARN = """
from components.unlearn.__main__ import app
from viker.core import console
from viker.tracking import recording
recording.PAUSE = 0.5
console.run(app)
"""
"""The stage, published ten times as often: the training need not last until the first publication of the usual ones."""
PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "HF_TOKEN": "planted-hf-token",
    "MLFLOW_TRACKING_PASSWORD": "planted-password",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto_endpoint):
    server = Server(tmp_path_factory.mktemp("server"), moto_endpoint)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    folder = small_tree(tmp_path_factory.mktemp("tree") / "tree", epochs=EPOCHS)
    change(folder, tracking={"also": ["tensorboard", "wandb"]})
    return folder


@pytest.fixture(scope="module")
def pipeline(server, tree) -> Path:
    """The tree after a pipeline run during which the server was killed and the training too."""
    settings = PLANTED | {"MLFLOW_TRACKING_URI": server.uri, "WANDB_MODE": "offline"}
    run_chain(tree, "prepare", "sample", **settings)
    run(tree, "finetune", **settings)

    process = start_python(tree, "-c", UNLEARN, **settings)
    wait_for(lambda: steps_sent(server.uri) and steps_kept(tree) > 8)
    server.kill()
    reached = steps_kept(tree)
    wait_for(lambda: steps_kept(tree) > reached + 8)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.start()
    assert not (tree / "models/adapter").exists()
    ended(start_python(tree, "-c", UNLEARN, **settings))

    run_chain(tree, "evaluate", "gate --no-enforce", "register", **settings)
    server.kill()
    stderr = run(tree, "report", **settings)
    assert "viker track sync" in stderr
    server.start()
    sync(tree, server.uri)
    return tree


def wait_for(what: Any, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.1)


def steps_kept(tree: Path) -> int:
    """Return the last step of training in the outbox."""
    last = 0
    for path in (tree / "work/tracking/outbox").glob("*-unlearn/records.jsonl"):
        for line in path.read_text().rpartition("\n")[0].splitlines():  # the last one may be half-written
            record = json.loads(line)
            if "train.loss" in record.get("metrics", ()):
                last = max(last, record["step"])
    return last


def steps_sent(uri: str) -> bool:
    return any("train.loss" in run.data.metrics for run in runs(uri))


def runs(uri: str) -> list[Any]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("viker")
    return client.search_runs([experiment.experiment_id]) if experiment else []


def sync(tree: Path, uri: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pipelines.cli.main", "track", "sync"]
    process = subprocess.Popen(
        command, cwd=tree, env=environment(MLFLOW_TRACKING_URI=uri), stdout=subprocess.PIPE, text=True
    )
    process.communicate(timeout=240)
    assert process.returncode == 0
    return process


def test_every_stage_is_one_run_and_nothing_of_the_training_is_lost(pipeline, server):
    all_runs = runs(server.uri)
    parents = [run for run in all_runs if "mlflow.parentRunId" not in run.data.tags and "engine" in run.data.tags]
    assert len(parents) == 1
    children = [run for run in all_runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert sorted(run.info.run_name for run in children) == sorted(STAGES)
    assert {run.info.status for run in [*parents, *children]} == {"FINISHED"}
    unlearn = next(run for run in children if run.info.run_name == "unlearn")
    client = MlflowClient(server.uri)
    for run_id in (unlearn.info.run_id, parents[0].info.run_id):
        points = client.get_metric_history(run_id, "train.loss")
        assert sorted(point.step for point in points) == list(range(1, len(points) + 1))
        assert len(points) == json.loads((pipeline / "unlearning/summary.json").read_text())["steps"]
    assert {"train.ga", "train.kl", "train.grad_norm", "train.lr", "train.tokens_per_second"} <= set(
        unlearn.data.metrics
    )
    assert "system/cpu_utilization_percentage" in unlearn.data.metrics
    measured = json.loads((pipeline / "metrics/evaluate.json").read_text())
    for split in ("forget", "test", "retain", "real"):
        expected = measured["unlearned"][split]["leakage_rate"]
        assert parents[0].data.metrics[f"unlearned.{split}.leakage_rate"] == pytest.approx(expected)
    assert parents[0].data.params["unlearn.epochs"] == str(EPOCHS)
    read = {item.dataset.name for item in unlearn.inputs.dataset_inputs}
    assert read == {"forget", "test", "retain", "real", "unseen"}


def test_the_curves_are_in_tensorboard_and_wandb_too_though_the_training_was_killed(pipeline):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    steps = json.loads((pipeline / "unlearning/summary.json").read_text())["steps"]
    (unlearn,) = (pipeline / "work/tracking/tensorboard").glob("*/unlearn")
    events = EventAccumulator(str(unlearn), size_guidance={"scalars": 0}).Reload()
    assert {"train/loss", "train/ga", "train/kl", "train/lr"} <= set(events.Tags()["scalars"])
    assert [point.step for point in events.Scalars("train/loss")] == list(range(1, steps + 1))
    (finetune,) = (pipeline / "work/tracking/tensorboard").glob("*/finetune")
    assert {"train/base_training.loss", "train/memorising.loss"} <= set(
        EventAccumulator(str(finetune)).Reload().Tags()["scalars"]
    )
    written = sorted((pipeline / "work/tracking/wandb").rglob("*.wandb"))
    assert len(written) == 3 and len({file.stem for file in written}) == 2  # unlearn was begun twice
    files = [path.read_bytes() for path in (pipeline / "work/tracking").rglob("*") if path.is_file()]
    assert not [secret for secret in PLANTED.values() if any(secret.encode() in content for content in files)]


def test_the_evidence_is_in_the_artifact_store(pipeline, server):
    names = [key.split("artifacts/")[1] for key in server.files()]
    for wanted in ("adapter/adapter_model.safetensors", "gate.json", "report.html", "validation/index.html"):
        assert wanted in names
    assert len([name for name in names if name == "report.html"]) == 1
    assert list((pipeline / "work/tracking/outbox").iterdir()) == []


def test_no_credential_is_logged(pipeline, server):
    assert (server.folder / "server.db").stat().st_size > 100_000
    stores = [path.read_bytes() for path in server.folder.glob("server.db*")]
    stores += server.files().values()
    assert [secret for secret in PLANTED.values() if any(secret.encode() in store for store in stores)] == []


def test_a_sync_that_is_killed_and_started_again_sends_each_record_once(pipeline, server, tmp_path):
    """The outbox of a stage, sent by a process that is killed again and again at another moment."""
    tree = tmp_path / "tree"
    shutil.copytree(pipeline, tree, symlinks=True, ignore=shutil.ignore_patterns("work"))
    text = (tree / "params.yaml").read_text()
    (tree / "params.yaml").write_text(text.replace("experiment: viker", "experiment: killed"))
    run(tree, "gate", "--no-enforce", MLFLOW_TRACKING_URI="http://127.0.0.1:9", DVC_STAGE="gate")
    journal = next((tree / "work/tracking/outbox").iterdir())
    line = next(x for x in (journal / "records.jsonl").read_text().splitlines() if '"metrics"' in x)
    head, *rest = (journal / "records.jsonl").read_text().splitlines()
    curve = [json.dumps(json.loads(line) | {"metrics": {"x": i}, "step": i}) for i in range(1, 400)]
    (journal / "records.jsonl").write_text("\n".join([head, *curve, *rest]) + "\n")
    command = [sys.executable, "-m", "pipelines.cli.main", "track", "sync"]
    kills = 0
    # some are early for a fast machine, some late for a slow one
    for pause in (0.5, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.3, 2.6, 3.0, 3.5):
        process = subprocess.Popen(command, cwd=tree, env=environment(MLFLOW_TRACKING_URI=server.uri))
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    sync(tree, server.uri)
    client = MlflowClient(server.uri)
    all_runs = client.search_runs([client.get_experiment_by_name("killed").experiment_id])
    assert sorted(run.data.tags.get("stage", "") for run in all_runs) == ["", "gate"]
    gate = next(run for run in all_runs if run.data.tags.get("stage") == "gate")
    points = client.get_metric_history(gate.info.run_id, "x")
    assert [point.step for point in points] == list(range(1, 400))
    assert kills > 0


def test_the_pages_show_the_runs_and_compare_their_metrics(pipeline, server, browser, tmp_path, monkeypatch):
    """The run of the pipeline beside another of it, with another lambda and the same metrics."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.delenv("VIKER_TRACKING", raising=False)
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path))
    other = small_tree(tmp_path / "other", method={"name": "viker", "lambda": 0.25})
    measured = json.loads((pipeline / "metrics/evaluate.json").read_text())
    with tracking.Stage(
        "evaluate", load_params(other / "params.yaml").values(), other / "params.yaml", required=True
    ) as recorded:
        recorded.metrics(main_metrics(measured), run=tracking.PIPELINE)
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("viker").experiment_id
    pipelines = client.search_runs([experiment], "tags.seed != ''")
    assert {run.data.params["unlearn.method.lambda"] for run in pipelines} == {"2.0", "0.25"}

    page = new_page(browser)
    names = [run.info.run_name for run in pipelines]
    text = runs_page(page, server.uri, experiment, names, tmp_path / "runs.png")
    assert all(name in text for name in names)
    ids = [run.info.run_id for run in pipelines]
    forget, retain = "unlearned.forget.leakage_rate", "unlearned.retain.rouge_l"
    text = compare_page(page, server.uri, experiment, ids, forget, retain, tmp_path / "compare.png")
    assert "Comparing 2 Runs" in text
    assert points(page) == sorted([run.data.metrics[forget], run.data.metrics[retain]] for run in pipelines)
    assert all(name in text for name in (forget, retain, "unlearn.method.lambda", "0.25"))
    page.close()
