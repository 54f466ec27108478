"""A finished unlearning run on disk, and one MLflow database for all tests: migrating it takes seconds."""

import csv
import dataclasses
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from safetensors.numpy import save_file

from components.common.evidence import seal
from components.common.files import sha256_path, write_json
from components.common.params import Params, load_params
from components.common.rules import apply_rule, parse_rule
from components.register.run import run

ROOT = Path(__file__).parents[2]
RULE = "unlearned.forget.leakage_rate <= 0.10"


@dataclasses.dataclass
class Work:
    """A work tree as the stages before leave it."""

    folder: Path
    params: Params
    client: MlflowClient

    @property
    def name(self) -> str:
        return self.params.register_.model_name

    def register(self) -> dict[str, Any]:
        f = self.folder
        return run(
            self.params,
            f / "params.yaml",
            f / "models/adapter",
            f / "models/vanilla",
            f / "data/prepared",
            f / "unlearning",
            f / "metrics/evaluate.json",
            f / "metrics/gate.json",
            f / "metrics/register.json",
        )

    def evaluate(self, leakage: float | None = 0.05) -> None:
        """Write the metrics and the verdict that belong to the files as they are."""
        inputs = {
            "adapter": sha256_path(self.folder / "models/adapter"),
            "model": sha256_path(self.folder / "models/vanilla"),
            "data": sha256_path(self.folder / "data/prepared/manifest.json"),
        }
        unlearned = {"forget": {"leakage_rate": leakage, "truth_ratio": None, "samples": 24}}
        metrics = seal({"unlearned": unlearned, "inputs": inputs})
        write_json(self.folder / "metrics/evaluate.json", metrics)
        rule = apply_rule(parse_rule(RULE), metrics)
        self.judge({"verdict": "pass" if rule["passed"] else "fail", "rules": [rule], "require": []}, metrics)

    def judge(self, verdict: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Write a verdict as the gate does."""
        policy = {"policy": None, "policy_sha256": None, "own": {"rules": [RULE], "require": []}}
        sealed = seal(verdict | policy | {"inputs": metrics["inputs"] | {"metrics": metrics["digest"]}})
        write_json(self.folder / "metrics/gate.json", sealed)

    def prepare(self, forget: Sequence[str], *requests: str) -> None:
        """Write data that forget these people for these requests."""
        manifest = {"seed": 7, "forget_ids": list(forget), "requests": list(requests)}
        (self.folder / "data/prepared/manifest.json").write_text(json.dumps(manifest))

    def unlearn(self, seed: int) -> None:
        """Write another adapter."""
        import numpy as np

        weights = np.random.default_rng(seed).standard_normal((8, 4)).astype("float32")
        save_file({"lora_A": weights}, self.folder / "models/adapter/adapter_model.safetensors")

    def aliases(self) -> dict[str, int]:
        return {k: int(v) for k, v in self.client.get_registered_model(self.name).aliases.items()}

    def versions(self) -> list[Any]:
        return list(self.client.search_model_versions(f"name = '{self.name}'"))


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def work(tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path / "tracking"))
    for folder in ("models/adapter", "models/vanilla", "data/prepared", "unlearning", "metrics"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "models/vanilla/config.json").write_text('{"model_type": "llava"}')
    (tmp_path / "models/adapter/adapter_config.json").write_text('{"r": 8}')
    (tmp_path / "unlearning/summary.json").write_text("{}")
    (tmp_path / "data/prepared/manifest.json").write_text(json.dumps({"seed": 7, "forget_ids": ["003"]}))
    with (tmp_path / "unlearning/loss.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["step", "epoch", "loss", "ga", "kl", "retain", "lr", "grad_norm"])
        writer.writerows([s, s / 4, -math.log(s + 1), -0.5 * s, 0.1 * s, "", 1e-3, 1.5] for s in range(1, 9))
    params = load_params(tmp_path / "params.yaml")
    names = {"experiment": tmp_path.name, "model_name": f"adapter-{tmp_path.name}"}
    params = params.model_copy(
        update={
            "register_": params.register_.model_copy(update=names),
            "gate": params.gate.model_copy(update={"policy": None, "rules": [RULE]}),
        }
    )
    work = Work(tmp_path, params, MlflowClient(tracking))
    work.unlearn(seed=0)
    work.evaluate()
    return work
