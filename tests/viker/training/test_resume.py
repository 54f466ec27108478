"""A run that is killed goes on from where it was, and ends with the bytes of one that was not."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from components.params import load_params
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from viker.core.files import write_json
from viker.training.checkpoint import SEAL, State, differences

ROOT = Path(__file__).parents[3]
TEACHER = "teacher-0-of-1.safetensors"
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
    folder = project / "uninterrupted"
    assert start(project, folder).wait() == 0
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
        (f"checkpoint-6/{SEAL}", signal.SIGKILL, -signal.SIGKILL),
        (f"checkpoint-9/{SEAL}", signal.SIGTERM, 143),
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
        return unlearn(params.unlearn, params.seed, params.threads, *places)["steps"]

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(project, killed, "grouped.yaml")
    until(process, killed / "state/checkpoint-3" / SEAL)
    process.kill()
    process.wait()
    steps = run(whole)
    monkeypatch.setattr("components.unlearn.run.kept_teachers", None)
    assert run(killed) == steps > 3
    adapters = [(folder / "out/adapter_model.safetensors").read_bytes() for folder in (killed, whole, uninterrupted)]
    assert adapters[0] == adapters[1] != adapters[2]


def sealed(folder: Path, step: int) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    (checkpoint / "weights").write_bytes(bytes(100))
    from viker.training.checkpoint import _hashes

    write_json(checkpoint / SEAL, _hashes(checkpoint))
    return checkpoint


@pytest.mark.parametrize("damage", ["cut", "unsealed", "missing"])
def test_a_torn_checkpoint_is_passed_over_with_a_warning(tmp_path, caplog, damage):
    state = State(tmp_path / "state", {})
    whole, torn = sealed(state.folder, 9), sealed(state.folder, 10)
    if damage == "cut":
        (torn / "weights").write_bytes(bytes(50))
    else:
        (torn / (SEAL if damage == "unsealed" else "weights")).unlink()
    with caplog.at_level(logging.WARNING):
        assert state.newest_checkpoint() == whole
    assert "checkpoint-10: a torn checkpoint" in caplog.text


def test_the_state_of_another_run_is_refused_with_the_difference_named(tmp_path, caplog):
    made = Counting()
    State(tmp_path / "state", {"unlearn": {"lambda": 1.0}, "data": "a"}).teachers(2, made)
    again = State(tmp_path / "state", {"data": "a", "unlearn": {"lambda": 1.0}})
    assert [len(one) for one in again.teachers(2, made)] == [1, 2] and made.calls == 1
    with caplog.at_level(logging.WARNING):
        other = State(tmp_path / "state", {"unlearn": {"lambda": 2.0}, "data": "a"})
    assert "unlearn.lambda was 1.0, is 2.0" in caplog.text
    assert "data" not in caplog.text
    other.teachers(2, made)
    assert made.calls == 2
    assert other.newest_checkpoint() is None


def test_a_torn_teacher_is_computed_again(tmp_path):
    state = State(tmp_path / "state", {})
    made = Counting()
    before = [teacher.clone() for teacher in state.teachers(2, made)]  # what is loaded lies in the file
    path = state.folder / TEACHER
    path.write_bytes(path.read_bytes()[:-3])
    after = state.teachers(2, made)
    assert made.calls == 2
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


class Counting:
    """Makes a teacher of i + 1 tokens for sample i, and counts how often it was asked."""

    calls = 0

    def __call__(self, numbers):
        self.calls += 1
        return [torch.full((i + 1, 3), float(i)) for i in numbers]


def test_differences_are_named_by_key():
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "d": 4}) == [
        "a.b was 1, is 3",
        "c was 2, is None",
        "d was None, is 4",
    ]
