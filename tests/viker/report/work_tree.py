"""A work tree as the stages before the report leave it, which a test changes and the report reads."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.contract.params import load_params
from components.gate.run import run as judge
from components.gate.stage import Arguments
from components.report.run import run
from viker.core.files import write_json
from viker.evidence.seal import seal
from viker.report.load import Paths

PREDICTIONS = pa.schema(
    [(n, pa.string()) for n in ("model", "split", "record_id", "person_id", "task", "modality", "picture")]
    + [(n, pa.string()) for n in ("question", "answer", "reply")]
    + [("correct", pa.bool_()), ("leaked", pa.bool_()), ("rouge_l", pa.float64()), ("gibberish", pa.bool_())]
)


@dataclasses.dataclass
class Inputs:
    """A work tree as it is when the report is due."""

    folder: Path

    def paths(self) -> Paths:
        f = self.folder
        return Paths(
            params=f / "params.yaml",
            prepared=f / "data/prepared",
            requests=f / "requests",
            unlearning=f / "unlearning",
            predictions=f / "evaluation/predictions.parquet",
            metrics=f / "metrics/evaluate.json",
            gate=f / "metrics/gate.json",
            register=f / "metrics/register.json",
        )

    def write(self, out: str = "report/report.html", earlier: tuple[Path, ...] = ()) -> bytes:
        page = self.folder / out
        paths = self.paths()
        return run(load_params(paths.params), paths, earlier, page, page.with_name("evidence.zip"))

    def render(self, out: str = "report/report.html") -> str:
        self.write(out)
        return (self.folder / out).read_text(encoding="utf-8")

    @property
    def bundle(self) -> Path:
        return self.folder / "report/evidence.zip"

    def set(self, before: str, after: str) -> None:
        """Change params.yaml."""
        path = self.folder / "params.yaml"
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")

    def edit(self, name: str, **changes: Any) -> None:
        """Change a JSON file, and seal it where it was sealed."""
        path = self.folder / name
        content = json.loads(path.read_text(encoding="utf-8")) | changes
        write_json(path, seal(content) if "digest" in content else content)

    def judge(self) -> None:
        f = self.folder
        models = (f / "models/vanilla", f / "models/adapter")
        paths = self.paths()
        files = (paths.predictions, self.attacks, paths.metrics, paths.gate)
        judge(load_params(paths.params), Arguments(paths.prepared, *models, *files, True))

    @property
    def attacks(self) -> Path:
        return self.folder / "evaluation/attacks.parquet"

    def predictions(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.folder / "evaluation/predictions.parquet").to_pylist()
        return rows

    def predict(self, rows: list[dict[str, Any]]) -> None:
        pq.write_table(pa.Table.from_pylist(rows, PREDICTIONS), self.folder / "evaluation/predictions.parquet")
