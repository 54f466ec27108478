"""One run in two processes gives what one process gives with the same global batch."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from components.contract.params import load_params
from components.sample.run import run as sample
from viker.core import distributed
from viker.core.errors import UserError
from viker.core.run_store import SEALS
from viker.data.records import read_records
from viker.models.loading import load_model

ROOT = Path(__file__).parents[3]
LAUNCH = ("accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--mixed_precision", "no")
PER_PROCESS = {"batch_size": 2, "retain_batch_size": 3}


@pytest.fixture(scope="module")
def project(prepared, small_model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    model, encoder = small_model
    shutil.copytree(prepared, folder / "prepared")
    model.save_pretrained(folder / "vanilla")
    encoder.processor.save_pretrained(folder / "vanilla")
    sample(load_params(ROOT / "params.yaml").sample, 7, folder / "prepared", folder / "irrelevant")
    return folder


def unlearn(project: Path, count: int, runs: dict[str, dict[str, object]]) -> "subprocess.Popen[str]":
    """Start ``count`` processes that run the stage once for each of ``runs``, with its changes to the parameters."""
    yaml = YAML()
    for name, changes in runs.items():
        folder = project / name
        folder.mkdir(exist_ok=True)
        params = yaml.load(ROOT / "params.yaml")
        params["threads"] = 1
        sizes = {key: size * 2 // count for key, size in PER_PROCESS.items()}
        params["unlearn"] |= {"epochs": 3, "checkpoint_steps": 3, "text_questions": False} | sizes | changes
        yaml.dump(params, folder / "params.yaml")
    launch = (*LAUNCH, "--num_processes", str(count), "--dynamo_backend", "no", "-m") if count > 1 else ()
    command = [sys.executable, "-m", *launch, "tests.viker.training.launched", *(str(project / name) for name in runs)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(project)}  # the launcher leaves folders there
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE, text=True)


def ended(process: "subprocess.Popen[str]", runs: int) -> str:
    """Wait for the processes, of which one alone prints, once a run; return what they logged."""
    try:
        out, log = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        process.terminate()  # the launcher ends the processes that it has started
        raise
    assert process.returncode == 0, log[-3000:]
    assert out.count("answer tokens are key tokens") == runs
    return log


VIKER = {"name": "viker", "retain": {"term": "kl", "weight": 5.0}}
METHODS = {"viker": VIKER} | {name: {"name": name} for name in ("graddiff", "idk", "rmu", "mmunlearner")}
"""With a teacher and a retain term; with retain samples; refusals drawn; part of the adapter frozen; weights masked."""
SHARDED = {"method": VIKER, "shard": True}
HALF = {"method": VIKER, "precision": "bfloat16"}


@pytest.fixture(scope="module")
def log(project) -> str:
    """Each method in one process and in two; ViKeR also in two that share the model, killed and begun again."""
    count = sum(record.task == "qa" for record in read_records(project / "prepared", "forget"))
    assert count % 4 == 0, "the last global batch would be filled up"
    kill(unlearn(project, 2, {"sharded": SHARDED}), project / "sharded/state" / SEALS / "checkpoint-3.json")
    (project / "sharded/state/teacher-00000-1-of-2.safetensors").unlink()
    one = {f"{name}-1": {"method": method} for name, method in METHODS.items()}
    two = {f"{name}-2": {"method": method} for name, method in METHODS.items()} | {"sharded": SHARDED}
    two |= {"half": HALF, "half-sharded": HALF | SHARDED}
    ended(unlearn(project, 1, one), len(one))
    return ended(unlearn(project, 2, two), len(two))


def kill(process: "subprocess.Popen[str]", there: Path) -> None:
    """Kill a launcher and the processes that it has started once a file is there."""
    while not there.exists():
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.01)
    started = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    for pid in (process.pid, *map(int, started.stdout.split())):
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "out/adapter_model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_train_the_adapter_of_one_with_the_same_global_batch(project, log, method):
    one, two = (project / f"{method}-{count}" for count in (1, 2))
    first, second = adapter(one), adapter(two)
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=1e-5, rtol=1e-5)
    curves = [pd.read_csv(folder / "records/loss.csv") for folder in (one, two)]
    pd.testing.assert_frame_equal(*curves, rtol=1e-3, atol=1e-5)
    tokens = [pd.read_parquet(folder / "records/key_tokens.parquet") for folder in (one, two)]
    pd.testing.assert_frame_equal(*tokens, rtol=1e-4, atol=1e-5)
    assert not (two / "state").exists()


@pytest.mark.slow
def test_shared_out_and_killed_it_gives_the_same_bytes_though_one_process_alone_had_its_share_of_the_teacher(
    project, log
):
    for name in ("out/adapter_model.safetensors", "out/adapter_config.json", "records/loss.csv"):
        assert (project / "sharded" / name).read_bytes() == (project / "viker-2" / name).read_bytes()


@pytest.mark.slow
def test_in_half_precision_a_shared_model_is_verified_too_and_gives_the_same_bytes(project, log):
    assert "which is slower" not in log
    for name in ("out/adapter_model.safetensors", "records/loss.csv"):
        assert (project / "half-sharded" / name).read_bytes() == (project / "half" / name).read_bytes()


@pytest.mark.slow
def test_each_of_two_processes_holds_half_of_the_language_model(project, log):
    model = load_model(str(project / "vanilla"), "vanilla")[0]
    whole = sum(p.numel() for p in model.parameters())
    head = set(model.get_output_embeddings().parameters())
    shared = sum(p.numel() for p in model.get_decoder().parameters() if p not in head)
    assert shared > whole / 2
    for process in (0, 1):
        assert f"process {process} holds {whole - shared // 2} of {whole} parameters" in log


def test_alone_there_is_nothing_to_gather():
    values = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert distributed.token_mean(values).item() == distributed.mean(values.mean()).item() == 3
    state = distributed.processes()
    assert (state.num_processes, state.process_index, state.is_main_process) == (1, 0, True)
    assert distributed.share_of(["a", "b"]) == ["a", "b"]
    assert distributed.any_of(True) and not distributed.any_of(False)


@pytest.mark.parametrize("library", ["FSDP", "DEEPSPEED"])
def test_accelerates_own_sharding_is_refused_with_the_remedy(monkeypatch, library):
    monkeypatch.setenv(f"ACCELERATE_USE_{library}", "true")
    with pytest.raises(UserError, match=r"shard to true.*--multi_gpu"):
        distributed.check_launch()
