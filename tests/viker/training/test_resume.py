"""A run that is killed resumes, and ends with the bytes of one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML
from transformers import TrainerControl

from components.contract.params import load_params
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from viker.core.run_store import SEALS
from viker.training.checkpoint import SaveCheckpoints, open_store
from viker.training.teacher_store import FILE

ROOT = Path(__file__).parents[3]
TEACHER = FILE.format(0, 0, 1)
ARGUMENTS = ("prepared", "vanilla", "irrelevant", "out", "records", "state")


@pytest.fixture(scope="module")
def project(prepared, small_model, tmp_path_factory) -> Path:
    """What the stage reads: prepared data, an untrained model, images, parameters of a short run."""
    folder = tmp_path_factory.mktemp("project")
    model, encoder = small_model
    shutil.copytree(prepared, folder / "prepared")
    model.save_pretrained(folder / "vanilla")
    encoder.processor.save_pretrained(folder / "vanilla")
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params["threads"] = 1
    params["unlearn"] |= {"epochs": 2, "retain_batch_size": 4, "checkpoint_steps": 3}
    yaml.dump(params, folder / "params.yaml")
    sample(load_params(folder / "params.yaml").sample, 7, folder / "prepared", folder / "irrelevant")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(project) -> Path:
    """A run without checkpoints, which change no byte."""
    folder = project / "uninterrupted"
    text = (project / "params.yaml").read_text()
    (project / "whole.yaml").write_text(text.replace("checkpoint_steps: 3", "checkpoint_steps: 1000"))
    assert start(project, folder, "whole.yaml").wait() == 0
    return folder


def start(project: Path, folder: Path, params: str = "params.yaml") -> "subprocess.Popen[bytes]":
    places = {name: project / name for name in ARGUMENTS[:3]} | {name: folder / name for name in ARGUMENTS[3:]}
    options = [part for name, path in places.items() for part in (f"--{name}", str(path))]
    command = [sys.executable, "-m", "components.unlearn", "--params", str(project / params), *options]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)


def until(process: "subprocess.Popen[bytes]", there: Path) -> None:
    while not there.exists():
        assert process.poll() is None, f"ended before {there.name}: {process.stderr.read()[-2000:]}"
        time.sleep(0.01)


def test_killed_in_the_teacher_in_training_and_by_sigterm_it_ends_with_the_same_bytes(project, uninterrupted):
    folder = project / "interrupted"
    for there, how, code in (
        (TEACHER, signal.SIGKILL, -signal.SIGKILL),
        (f"{SEALS}/checkpoint-6.json", signal.SIGKILL, -signal.SIGKILL),
        (f"{SEALS}/checkpoint-9.json", signal.SIGTERM, 143),
    ):
        process = start(project, folder)
        until(process, folder / "state" / there)
        process.send_signal(how)
        assert process.wait() == code
        assert not (folder / "out").exists()
    assert start(project, folder).wait() == 0
    written = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert written == sorted(path.relative_to(uninterrupted) for path in uninterrupted.rglob("*") if path.is_file())
    assert [name for name in written if (folder / name).read_bytes() != (uninterrupted / name).read_bytes()] == []


@pytest.mark.slow  # three starts of the program, 15 s each
def test_a_run_from_an_adapter_holds_the_same_after_it_was_killed(project, uninterrupted):
    params = YAML().load(project / "params.yaml")
    params["unlearn"] |= {"start_from": str(uninterrupted / "out"), "hold": {"weight": 10.0, "questions": 8}}
    YAML().dump(params, project / "further.yaml")
    whole, killed = project / "further", project / "further killed"
    assert start(project, whole, "further.yaml").wait() == 0
    process = start(project, killed, "further.yaml")
    until(process, killed / "state" / f"{SEALS}/checkpoint-6.json")
    process.kill()
    process.wait()
    assert start(project, killed, "further.yaml").wait() == 0
    for name in ("out/adapter_model.safetensors", "records/loss.csv", "records/summary.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert json.loads((whole / "records/summary.json").read_text())["held"]["questions"] == 8
    assert "held" not in json.loads((uninterrupted / "records/summary.json").read_text())
    assert "hold" in (whole / "records/loss.csv").read_text().splitlines()[0].split(",")


def test_a_finished_run_leaves_no_state(uninterrupted):
    assert not (uninterrupted / "state").exists()


def test_resuming_goes_on_in_the_order_of_lengths_and_skips_what_is_done(project, uninterrupted, tmp_path, monkeypatch):
    """With the teacher and a checkpoint there, neither is computed again: both are taken from the state."""
    text = (project / "params.yaml").read_text()
    assert "group_by_length: false" in text
    (project / "grouped.yaml").write_text(text.replace("group_by_length: false", "group_by_length: true"))
    params = load_params(project / "grouped.yaml")

    def run(folder: Path) -> int:
        places = [project / name for name in ARGUMENTS[:3]] + [folder / name for name in ARGUMENTS[3:]]
        return unlearn(params.unlearn, params.seed, params.threads, Arguments(*places))["steps"]

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(project, killed, "grouped.yaml")
    until(process, killed / "state" / SEALS / "checkpoint-3.json")
    process.kill()
    process.wait()
    steps = run(whole)
    monkeypatch.setattr("components.unlearn.ask.teach", None)
    assert run(killed) == steps > 3
    adapters = [(folder / "out/adapter_model.safetensors").read_bytes() for folder in (killed, whole, uninterrupted)]
    assert adapters[0] == adapters[1] != adapters[2]


def test_a_checkpoint_is_written_after_some_minutes_whatever_the_steps(tmp_path):
    now = [0.0]
    store = open_store(tmp_path / "state", {})
    callback = SaveCheckpoints(SimpleNamespace(progress=dict), store, minutes=5, clock=lambda: now[0])
    saved = []
    for step in range(1, 31):  # of a minute each
        now[0] += 60
        state, control = SimpleNamespace(global_step=step), TrainerControl()
        callback.on_step_end(None, state, control)
        if control.should_save:
            (store.folder / f"checkpoint-{step}").mkdir()
            callback.on_save(None, state, control)
            saved.append(step)
    assert saved == [5, 10, 15, 20, 25, 30]
    assert store.newest("checkpoint").name == "checkpoint-30"
