"""A work tree with params.yaml and prepared data, and one MLflow database for all tests: migrating it takes seconds."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from components.contract.params import load_params
from tests.viker.tracking.tree import change
from viker import tracking
from viker.tracking.publish import Publisher

ROOT = Path(__file__).parents[3]


@dataclasses.dataclass
class Tree:
    folder: Path
    uri: str
    experiment: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    @contextmanager
    def stage(self, name: str, **options: Any) -> Iterator[tracking.Stage]:
        file = self.folder / "params.yaml"
        with tracking.Stage(name, load_params(file).values(), file, **options) as recorded:
            yield recorded

    def record(self, name: str = "unlearn", steps: int = 3) -> None:
        """Record a stage with one of everything; nothing is published."""
        with self.stage(name) as recorded:
            recorded.params({name: {"lr": 0.1}})
            recorded.data(self.folder / "data/prepared")
            for step in range(1, steps + 1):
                tracking.log_metrics({"train": {"loss": 1 / step}}, step)
            recorded.metrics({"unlearned": {"forget": {"leakage_rate": 0.25}}}, run=tracking.PIPELINE)
            recorded.tags({"verdict": "pass"}, run=tracking.PIPELINE)
            recorded.artifact(self.folder / "data", "files")

    def waiting(self) -> list[Path]:
        return sorted((self.folder / "work/tracking/outbox").glob("*/records.jsonl"))

    def publish(self) -> int:
        return Publisher(self.uri).publish()

    def runs(self) -> dict[str, Any]:
        """Return the experiment's runs by name; two of a name are an error."""
        experiment = self.client.get_experiment_by_name(self.experiment)
        all_runs = self.client.search_runs([experiment.experiment_id]) if experiment else []
        by_name = {run.info.run_name: run for run in all_runs}
        assert len(by_name) == len(all_runs), "a run is there twice"
        return by_name

    def content(self) -> dict[str, Any]:
        """Return all that MLflow knows of the runs, but for ids and times."""
        return {name: self._content(run) for name, run in self.runs().items()}

    def _content(self, run: Any) -> Any:
        names = {r.info.run_id: name for name, r in self.runs().items()}
        tags = {key: names.get(value, value) for key, value in run.data.tags.items()}
        curves = {
            name: [(p.step, p.value) for p in self.client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        data = sorted((i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs)
        files = sorted(item.path for item in self.client.list_artifacts(run.info.run_id, "files"))
        return run.info.status, tags, run.data.params, curves, data, files


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def tree(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A tree whose stages record as short ones do that DVC runs: published only when the test says so."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    monkeypatch.delenv("VIKER_TRACKING", raising=False)
    monkeypatch.setenv("DVC_STAGE", "unlearn")
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "source.csv").write_text("1")
    change(tmp_path, prepare={"source": "source.csv"}, register={"experiment": tmp_path.name, "publish": "full"})
    (tmp_path / "data/prepared").mkdir(parents=True)
    manifest = {
        "source": "source.csv",
        "requests": ["2026-11-24-1"],
        "counts": {"forget": {"people": 4, "records": 24}},
        "hashes": {"forget.parquet": "ab" * 32},
    }
    (tmp_path / "data/prepared/manifest.json").write_text(json.dumps(manifest))
    return Tree(tmp_path, database, tmp_path.name)
