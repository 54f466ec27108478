"""A finished unlearning run on disk, and one MLflow database for all tests: migrating it takes seconds."""

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from components.contract.params import Params, load_params
from components.register.run import run
from components.register.stage import Arguments
from tests.shared import change_params
from viker.core.files import sha256_path, write_json
from viker.evidence.seal import params_digest, seal
from viker.evidence.training_summary import NAME, RECORDS, with_training, write_summary
from viker.gate.doubts import Policy
from viker.gate.integrity import CHECKS
from viker.gate.judge import judge, requirement
from viker.gate.policies import load_policy
from viker.registry.versions import FORCED, PROMOTION, Registry

ROOT = Path(__file__).parents[1]
RULE = "unlearned.forget.leakage_rate <= 0.10"
POLICY = f"""
about: A test's.
release: true
rules: [{{rule: {RULE}, protects: Leaks.}}]
require: []
"""


def passed_checks(*texts: str) -> list[dict[str, Any]]:
    """Return what the gate checks for itself, or some of it, all of it met."""
    return [requirement(text, True, "As it must be.", protects="Forgery.") for text in texts or CHECKS]


@dataclasses.dataclass
class Work:
    """A work tree as the stages before leave it."""

    folder: Path
    params: Params
    client: Any
    last: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The last registration."""
    started_from: str | None = None
    """SHA-256 of the adapter that the next one goes on from."""

    @property
    def name(self) -> str:
        return str(self.params.section("register").model_name)

    def register(self) -> dict[str, Any]:
        f = self.folder
        self.last = run(
            self.params,
            f / "params.yaml",
            Arguments(
                f / "models/adapter",
                f / "models/vanilla",
                f / "data/prepared",
                f / "unlearning",
                f / "metrics/evaluate.json",
                f / "metrics/gate.json",
                f / "metrics/register.json",
                True,
            ),
        )
        return self.last

    def evaluate(self, leakage: float | None = 0.05) -> None:
        """Write the training's summary, the metrics and the verdict that belong to the files as they are."""
        self.summarise()
        inputs = {
            "adapter": sha256_path(self.folder / "models/adapter"),
            "model": sha256_path(self.folder / "models/vanilla"),
            "data": sha256_path(self.folder / "data/prepared/manifest.json"),
            "params": params_digest(self.params.seed, self.params.values()["evaluate"]),
        }
        unlearned = {"forget": {"leakage_rate": leakage, "truth_ratio": None, "samples": 24}}
        metrics = seal({"unlearned": unlearned, "vanilla": {"forget": {"leakage_rate": 1.0}}, "inputs": inputs})
        write_json(self.folder / "metrics/evaluate.json", metrics)
        policy, _ = load_policy(self.params.gate)
        self.judge(judge(policy, with_training(metrics, self.training), passed_checks()), metrics)

    def judge(self, verdict: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Write a verdict as the gate does."""
        gate = self.params.gate
        policy = {"policy": gate.policy, "policy_sha256": load_policy(gate)[1]}
        policy["own"] = {"rules": gate.rules, "require": gate.require}
        judged = {"metrics": metrics["digest"], "unlearning": self.training["digest"]}
        sealed = seal(verdict | policy | {"inputs": metrics["inputs"] | judged})
        write_json(self.folder / "metrics/gate.json", sealed)

    def prepare(self, forget: Sequence[str], *requests: str) -> None:
        """Write data that forget these people for these requests."""
        manifest = {"seed": 7, "forget_ids": list(forget), "requests": list(requests)}
        (self.folder / "data/prepared/manifest.json").write_text(json.dumps(manifest))

    def start_from(self, adapter: Path | None) -> None:
        """Set the adapter that the next one goes on from, as unlearn notes it."""
        changed = self.params.unlearn.model_copy(update={"start_from": adapter and str(adapter)})
        self.params = self.params.model_copy(update={"unlearn": changed})
        self.started_from = adapter and sha256_path(adapter)
        self.summarise()

    def summarise(self) -> None:
        """Write the records and the summary of the unlearning, as unlearn does."""
        records = self.folder / "unlearning"
        for name in RECORDS:
            (records / name).write_text(name)
        summary = {"method": "ViKeR + retain KL", "start_from": self.started_from}
        write_summary(records, summary, self.folder / "models/adapter")

    @property
    def training(self) -> dict[str, Any]:
        """The summary of the unlearning as it lies there."""
        summary: dict[str, Any] = json.loads((self.folder / "unlearning" / NAME).read_text())
        return summary

    @property
    def registry(self) -> Registry:
        return Registry(self.client, os.environ["MLFLOW_TRACKING_URI"], self.name)

    @property
    def policy(self) -> Policy:
        return Policy(self.params.gate)

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
    return new_work(tmp_path, tracking, monkeypatch)


@pytest.fixture(scope="session")
def four_versions(tmp_path_factory: pytest.TempPathFactory, tracking: str) -> Work:
    with pytest.MonkeyPatch.context() as patch:
        work = new_work(tmp_path_factory.mktemp("history"), tracking, patch)
        fill(work)
    return work


@pytest.fixture
def history(four_versions: Work, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Four versions: 1 passed and forgets 001 for r1; 2 went on from it and forgets 002 for r2; 3 failed; 4 passed
    and forgets 004 for r4, from the vanilla model. 2 is the champion."""
    set_environment(four_versions.folder, four_versions.client.tracking_uri, monkeypatch)
    put_aliases(four_versions, {"champion": 2, "previous": 1})
    return four_versions


def put_aliases(work: Work, aliases: Mapping[str, int]) -> None:
    """Set champion and previous, and nothing else, as if nothing had been promoted before."""
    for alias in ("champion", "previous"):
        work.client.delete_registered_model_alias(work.name, alias)
    for version in work.versions():
        for tag in set(version.tags) & {PROMOTION, FORCED}:
            work.client.delete_model_version_tag(work.name, version.version, tag)
    for alias, number in aliases.items():
        work.client.set_registered_model_alias(work.name, alias, str(number))


def fill(work: Work) -> None:
    """Register the versions of ``history``; the champion is then 2."""
    work.prepare(["001"], "r1")
    work.evaluate()
    work.register()
    work.start_from(work.folder / "models/adapter")
    work.unlearn(seed=2)
    work.prepare(["002"], "r2")
    work.evaluate()
    work.register()
    work.unlearn(seed=3)
    work.evaluate(leakage=0.4)
    work.register()
    work.start_from(None)
    work.unlearn(seed=4)
    work.prepare(["004"], "r4")
    work.evaluate()
    work.register()


def new_work(folder: Path, tracking: str, patch: pytest.MonkeyPatch) -> Work:
    """Write what the stages before leave, and point MLflow to ``tracking``."""
    set_environment(folder, tracking, patch)
    for name in ("models/adapter", "models/vanilla", "data/prepared", "unlearning", "metrics"):
        (folder / name).mkdir(parents=True)
    (folder / "models/vanilla/config.json").write_text('{"model_type": "llava"}')
    (folder / "models/adapter/adapter_config.json").write_text('{"r": 8}')
    (folder / "data/prepared/manifest.json").write_text(json.dumps({"seed": 7, "forget_ids": ["003"]}))
    from mlflow import MlflowClient  # here: not every test that pytest collects needs it

    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "policy.yaml").write_text(POLICY)
    names = {"experiment": folder.name, "model_name": f"adapter-{folder.name}"}
    gate = {"policy": str(folder / "policy.yaml"), "rules": [], "require": []}
    change_params(folder / "params.yaml", register=names | {"publish": "full"}, gate=gate)
    work = Work(folder, load_params(folder / "params.yaml"), MlflowClient(tracking))
    work.unlearn(seed=0)
    work.evaluate()
    return work


def set_environment(folder: Path, tracking: str, patch: pytest.MonkeyPatch) -> None:
    """Point MLflow to a server or database, and what waits to be sent to it to a folder."""
    patch.setenv("MLFLOW_TRACKING_URI", tracking)
    patch.setenv("VIKER_TRACKING_DIR", str(folder / "tracking"))
