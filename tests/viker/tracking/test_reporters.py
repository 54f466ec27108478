"""Curves in TensorBoard and W&B: numbers alone, one run when a stage resumes, and what is missing is said."""

import getpass
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from components.contract.params import load_params
from viker import tracking
from viker.core.errors import UserError
from viker.tracking import reporters
from viker.tracking.reporters import Reporters

ROOT = Path(__file__).parents[3]
CANARY = "Zanzibarta Quirkley"


def stage(tree: Path, also: Reporters):
    values = load_params(ROOT / "params.yaml").values()
    values["prepare"]["forget_ids"] = [CANARY]
    (tree / "params.yaml").write_text("seed: 7\n")
    return tracking.Stage("unlearn", values, tree / "params.yaml", also=also)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIKER_TRACKING", "on")
    monkeypatch.setenv("DVC_STAGE", "unlearn")  # its records wait for the next stage that publishes
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path / "tracking"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tmp_path


def train(tree: Path, also: Reporters, losses: dict[int, float]) -> None:
    with stage(tree, also):
        for step, loss in losses.items():
            for run in (tracking.STAGE, tracking.PIPELINE):
                tracking.log_metrics({"train": {"loss": loss, "note": CANARY}}, step, run)


def test_a_run_that_resumes_is_one_curve_in_tensorboard(tree):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tree, Reporters(["tensorboard"]), {1: 4.0, 2: 3.0, 3: 9.0})
    train(tree, Reporters(["tensorboard"]), {3: 2.0, 4: 1.0})  # killed after step 3, its checkpoint was of step 2
    folders = {file.parent for file in (tree / "tracking/tensorboard").rglob("events.*")}
    assert len(folders) == 1
    events = EventAccumulator(str(folders.pop())).Reload()
    assert events.Tags()["scalars"] == ["train/loss"] and not events.Tags()["tensors"]
    assert [(one.step, one.value) for one in events.Scalars("train/loss")] == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0)]


def test_wandb_gets_numbers_parameters_with_pseudonyms_and_nothing_of_the_machine(tree, monkeypatch):
    """What W&B would send is in its file of transactions, compressed by nothing."""
    monkeypatch.setattr(socket, "gethostname", lambda: "the-host-of-this-test")
    monkeypatch.setattr(getpass, "getuser", lambda: "the-user-of-this-test")
    print(CANARY)
    train(tree, Reporters(["wandb"]), {1: 4.0, 2: 3.0})
    train(tree, Reporters(["wandb"]), {3: 2.0})
    files = sorted((tree / "tracking/wandb").rglob("*.wandb"))
    assert len(files) == 2 and len({file.stem for file in files}) == 1  # of one run's ID
    content = b"".join(file.read_bytes() for file in files)
    assert b"train/loss" in content and b"unlearn.method.name" in content
    for private in (CANARY, str(tree), str(ROOT), socket.gethostname(), getpass.getuser(), sys.executable):
        assert private.encode() not in content, private
    everything = [file.name for file in (tree / "tracking/wandb").rglob("*") if file.is_file()]
    assert not {"output.log", "requirements.txt", "wandb-metadata.json", "diff.patch"} & set(everything)


def test_what_is_not_installed_is_named_before_anything_runs(monkeypatch):
    monkeypatch.setattr(reporters, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tracking\.also has tensorboard, which is not installed: pip install tensorb"):
        Reporters(["tensorboard"])


def test_without_a_key_wandb_is_refused_rather_than_asked(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"WANDB_API_KEY.*WANDB_MODE=offline"):
        Reporters(["wandb"])


def test_a_reporter_that_breaks_does_not_end_the_stage(tree, monkeypatch, caplog):
    def broken(runs, step):
        raise ConnectionError("the service is down")

    monkeypatch.setitem(reporters._START, "tensorboard", broken)
    train(tree, Reporters(["tensorboard"]), {1: 4.0, 2: 3.0})
    assert [record.message for record in caplog.records if "tracking.also" in record.message] == [
        "tracking.also: the service is down; no more curves go there"
    ]


def test_tracking_that_is_off_is_off_there_too(tree, monkeypatch):
    monkeypatch.setenv("VIKER_TRACKING", "off")
    train(tree, Reporters(["tensorboard"]), {1: 4.0})
    assert not (tree / "tracking").exists()


def test_params_yaml_takes_the_two_names_and_no_other(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    for names, valid in (("[wandb, tensorboard]", True), ("[mlflow]", False)):
        path = tmp_path / "params.yaml"
        path.write_text(text.replace("also: []", f"also: {names}"))
        command = [sys.executable, "-m", "pipelines.cli.main", "validate", "--params", str(path), "--json"]
        told = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout)
        assert told["valid"] is valid
        assert valid or "tracking.also" in told["problems"][0]
