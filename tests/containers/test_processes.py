"""unlearn where a profile has several GPUs: the compiled command starts a process for each. Here they have CPUs."""

import inspect
import json
import uuid
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipelines.kubeflow import compile as compiling
from tests.containers.conftest import HARDENED, ROOT, docker, image, shared_folder, small_params, wait_for_checkpoint
from tests.kfp_local import filled
from viker.core.files import sha256_path

pytestmark = pytest.mark.containers


def test_two_processes_train_one_adapter_and_go_on_after_an_eviction(
    chain: Path, volume: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inspect, "stack", lambda: [(None,) * 6] * 9)  # kfp asks for all of it at each setting
    changes = ["deploy.profile=gpu-a100", "deploy.profiles.gpu-a100.gpu.count=2"]
    text = compiling.compiled(compiling.load(ROOT / "params.yaml", changes)[1])
    executor = next(YAML(typ="safe", pure=True).load_all(text))["deploymentSpec"]["executors"]["exec-unlearn"]
    places = {"prepared": "data/prepared", "vanilla": "models/vanilla", "irrelevant": "data/irrelevant"}
    work = shared_folder(tmp_path / "work")
    made = {name: work / "out" / name for name in ("adapter", "unlearning")}
    params = small_params({"unlearn": {"batch_size": 1}})
    given = {name: chain / place for name, place in places.items()}
    command = filled(executor["container"], given, made, {"threads": 1, "unlearn": params["unlearn"]})
    options = (f"--volume={volume}:/cache", f"--volume={work}:{work}", f"--volume={chain}:{chain}:ro")
    settings = (*HARDENED, "--shm-size=256m", "--env=VIKER_TRACKING=off", *options, image("unlearn"), *command)

    # Kubernetes evicts the pod: the processes save their state together.
    name = f"viker-{uuid.uuid4().hex[:12]}"
    docker("run", "--detach", "--name", name, *settings)
    try:
        seen = wait_for_checkpoint(name)
        docker("kill", "--signal=TERM", name)
        assert docker("wait", name).stdout.strip() == "143", docker("logs", name).stderr[-3000:]
    finally:
        docker("rm", "--force", name, check=False)
    assert not (work / "out").exists()
    kept = docker(
        "run", "--rm", f"--volume={volume}:/cache", image("unlearn"), "sh", "-c", "ls /cache/unlearn/*/"
    ).stdout
    saved = max(int(line.removeprefix("checkpoint-")) for line in kept.split() if line.startswith("checkpoint-"))
    assert saved >= seen and "teacher-00000-1-of-2.safetensors" in kept

    done = docker("run", "--rm", *settings)
    assert done.stdout.count("answer tokens are key tokens") == 1
    steps = len(pd.read_csv(chain / "unlearning/loss.csv"))  # of one process with the same global batch
    assert list(pd.read_csv(made["unlearning"] / "loss.csv")["step"]) == list(range(1, steps + 1))
    assert saved < steps
    written = json.loads((work / "out/executor_output.json").read_text())["artifacts"]
    assert written["adapter"]["artifacts"][0]["metadata"]["sha256"] == sha256_path(made["adapter"])
