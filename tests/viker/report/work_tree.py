"""A work tree as the stages before the report leave it, which a test changes and the report reads."""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.contract.params import load_params
from components.report.run import run
from tests.registry import passed_checks
from viker.core.files import sha256_path, write_json
from viker.evidence.seal import hash_inputs, params_digest, seal
from viker.evidence.training_summary import NAME, RECORDS, with_training
from viker.gate.integrity import ATTACKS_COUNTED, COMPLETE, COUNTED, FLOORS_COUNTED, check_integrity
from viker.gate.judge import judge
from viker.gate.policies import load_policy
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

    def reseal(self) -> None:
        """Make metrics and verdict what evaluate and gate would have written with the files as they are."""
        f, params = self.folder, load_params(self.folder / "params.yaml")
        metrics, gate = (json.loads((f / f"metrics/{name}.json").read_text()) for name in ("evaluate", "gate"))
        manifest_file = f / "data/prepared/manifest.json"
        manifest = json.loads(manifest_file.read_text())
        hashes = {path.name: sha256_path(path) for path in sorted((f / "data/prepared").glob("*.parquet"))}
        write_json(manifest_file, manifest | {"hashes": hashes})
        now = {
            "data": sha256_path(manifest_file),
            "predictions": sha256_path(f / "evaluation/predictions.parquet"),
            "params": params_digest(params.seed, params.values()["evaluate"]),
        }
        metrics = seal(metrics | {"inputs": metrics["inputs"] | now})
        write_json(f / "metrics/evaluate.json", metrics)
        own = params.gate.model_dump(include={"rules", "require"})
        records = f / "unlearning"
        trained = json.loads((records / NAME).read_text()) | {"adapter": metrics["inputs"]["adapter"]}
        trained["records"] = {name: sha256_path(records / name) for name in RECORDS}
        write_json(records / NAME, trained := seal(trained))
        judged = gate["inputs"] | now | {"metrics": metrics["digest"], "unlearning": trained["digest"]}
        gate |= {"own": own, "policy": params.gate.policy, "inputs": judged}
        write_json(f / "metrics/gate.json", seal(gate))

    def write(self, out: str = "report/report.html", earlier: tuple[Path, ...] = (), consistent: bool = True) -> bytes:
        """Write the report, on files made ``consistent`` first: a test may have changed one of them."""
        if consistent:
            with contextlib.suppress(OSError, ValueError):  # a test may be about a missing or broken file
                self.reseal()
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
        """Write the verdict on the metrics, whose numbers are invented: as if they had been counted again."""
        f, paths, params = self.folder, self.paths(), load_params(self.folder / "params.yaml")
        metrics = json.loads(paths.metrics.read_text(encoding="utf-8"))
        models = (f / "models/adapter", f / "models/vanilla")
        hashes = hash_inputs(*models, paths.prepared, paths.predictions, self.attacks)
        hashes["params"] = params_digest(params.seed, params.values()["evaluate"])
        hashes["protocol"] = params.evaluate.in_force().sha256
        policy, sha256 = load_policy(params.gate)
        checks = check_integrity(metrics, hashes, paths.prepared) + passed_checks(
            COMPLETE, COUNTED, ATTACKS_COUNTED, FLOORS_COUNTED
        )
        training = json.loads((f / "unlearning" / NAME).read_text(encoding="utf-8"))
        verdict = judge(policy, with_training(metrics, training), checks) | {
            "policy": params.gate.policy,
            "policy_sha256": sha256,
        }
        verdict["own"] = params.gate.model_dump(include={"rules", "require"})
        write_json(
            paths.gate,
            seal(verdict | {"inputs": hashes | {"metrics": metrics["digest"], "unlearning": training["digest"]}}),
        )

    @property
    def attacks(self) -> Path:
        return self.folder / "evaluation/attacks.parquet"

    def predictions(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.folder / "evaluation/predictions.parquet").to_pylist()
        return rows

    def predict(self, rows: list[dict[str, Any]]) -> None:
        pq.write_table(pa.Table.from_pylist(rows, PREDICTIONS), self.folder / "evaluation/predictions.parquet")
