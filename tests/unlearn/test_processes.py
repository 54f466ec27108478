"""One run in two processes gives what one process gives with the same global batch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from components.common.errors import UserError
from components.common.params import load_params
from components.common.records import read_records
from components.sample.run import run as sample
from components.unlearn import processes

ROOT = Path(__file__).parents[2]
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


def unlearn(project: Path, name: str, count: int, **changes: object) -> Path:
    """Run the stage in ``count`` processes."""
    folder = project / name
    folder.mkdir()
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params["threads"] = 1
    sizes = {key: size * 2 // count for key, size in PER_PROCESS.items()}
    params["unlearn"] |= {"epochs": 3, "method": "viker"} | sizes | changes
    yaml.dump(params, folder / "params.yaml")
    places = {name: project / name for name in ("prepared", "vanilla", "irrelevant")}
    places |= {name: folder / name for name in ("out", "records", "state")} | {"params": folder / "params.yaml"}
    options = [part for name, path in places.items() for part in (f"--{name}", str(path))]
    launch = (*LAUNCH, "--num_processes", str(count), "--dynamo_backend", "no", "-m") if count > 1 else ()
    command = [sys.executable, "-m", *launch, "components.unlearn", *options]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("answer tokens are key tokens") == 1
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("method", ["viker", "graddiff", "idk"])
def test_two_processes_train_the_adapter_of_one_with_the_same_global_batch(project, method):
    count = sum(record.task == "qa" for record in read_records(project / "prepared", "forget"))
    assert count % 4 == 0, "the last global batch would be filled up"
    one = unlearn(project, f"{method}-1", 1, method=method)
    two = unlearn(project, f"{method}-2", 2, method=method)
    first, second = (load_file(folder / "out/adapter_model.safetensors") for folder in (one, two))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=1e-5, rtol=1e-5)
    curves = [pd.read_csv(folder / "records/loss.csv") for folder in (one, two)]
    pd.testing.assert_frame_equal(*curves, rtol=1e-3, atol=1e-5)
    tokens = [pd.read_parquet(folder / "records/key_tokens.parquet") for folder in (one, two)]
    pd.testing.assert_frame_equal(*tokens, rtol=1e-4, atol=1e-5)
    assert not (two / "state").exists()


def test_alone_there_is_nothing_to_gather():
    values = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert processes.token_mean(values).item() == processes.mean(values.mean()).item() == 3
    assert (processes.world(), processes.rank(), processes.first()) == (1, 0, True)
    assert processes.share_of(["a", "b"]) == processes.all_of(["a", "b"]) == ["a", "b"]
    assert processes.any_of(True, torch.device("cpu")) and not processes.any_of(False, torch.device("cpu"))


def test_what_has_not_been_tried_is_refused(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match=r"FSDP.*--multi_gpu"):
        processes.join()
