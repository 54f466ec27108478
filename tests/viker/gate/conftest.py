"""A work tree as it is when the gate is due: real data, replies to all of its questions, and what they come to."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.contract.params import Params, load_params
from components.gate.run import run
from components.gate.stage import Arguments
from viker.attacks.base.attack import load_attacks
from viker.core.files import write_json
from viker.data.asked import is_asked, shown_examples
from viker.data.prompts import target_for
from viker.data.records import SPLITS, Record, read_records
from viker.evidence.seal import SCHEMA, hash_inputs, params_digest, seal

ROOT = Path(__file__).parents[3]
MODELS = ("vanilla", "unlearned")
Say = Callable[[str, str, Record], str]


def honest(model: str, split: str, record: Record) -> str:
    """Return what a model says that has forgotten: nothing of the forget people, the truth about all others."""
    return target_for(record) if model == "vanilla" or split in ("retain", "real") else "Somewhere else."


def chance(table: str) -> float:
    """Return what guessing gives under an attack: one of four options, or a wrong value, which nobody says here."""
    return 0.25 if table.startswith("multiple_choice") else 0.0


def attacked(chance: float, asked: list[Record]) -> dict[str, Any]:
    """Return what an attack comes to that brings nothing out."""
    numbers = dict.fromkeys(("leakage_rate", "people_leaked_rate", "questions_leaked_rate"), 0.0)
    numbers |= {"chance_rate": chance, "above_chance": -chance}
    counts = {"samples": len(asked), "people": len({record.person_id for record in asked})}
    return numbers | {"intervals": {name: [value, value] for name, value in numbers.items()}} | counts


@dataclasses.dataclass
class Tree:
    """The files that the gate reads; ``judge`` runs it."""

    folder: Path
    params: Params

    def __getattr__(self, name: str) -> Path:
        return (
            self.folder
            / {
                "prepared": "data/prepared",
                "vanilla": "models/vanilla",
                "adapter": "models/adapter",
                "predictions": "evaluation/predictions.parquet",
                "attacks": "evaluation/attacks.parquet",
                "metrics": "metrics/evaluate.json",
                "out": "metrics/gate.json",
            }[name]
        )

    def answer(self, say: Say = honest) -> None:
        """Write the replies of both models to every question of the protocol."""
        self.write_rows(
            [
                {"model": model, "split": split, "record_id": record.id, "picture": picture}
                | {"person_id": record.person_id, "reply": say(model, split, record)}
                for model in MODELS
                for split in SPLITS
                for record in self.asked(split)
                for picture in (record.images or ("",))
            ]
        )

    def asked(self, split: str) -> list[Record]:
        """Return the records that the protocol asks about."""
        examples = shown_examples(read_records(self.prepared, "retain"), self.params.evaluate.in_force())
        return [record for record in read_records(self.prepared, split) if is_asked(record, examples)]

    def attack(self) -> None:
        """Write what both models say under every attack: nothing private, and no wrong value either."""
        asked = self.attacked()
        tables = [table for attack in load_attacks().values() for table in attack.tables]
        rows = [
            {"model": model, "attack": table, "variant": "", "person_id": r.person_id, "record_id": r.id}
            | {"picture": r.images[0], "question": r.question, "answer": r.answer, "reply": "Somewhere else."}
            | {"replies": ["Somewhere else."], "leaked": False, "chance": chance(table)}
            for model in MODELS
            for table in tables
            for r in asked
        ]
        pq.write_table(pa.Table.from_pylist(rows), self.attacks)

    def attacked(self) -> list[Record]:
        """Return the questions that attacks are made on."""
        return [r for r in read_records(self.prepared, "forget") if r.task == "generation" and r.images]

    def rows(self) -> list[dict[str, Any]]:
        return pq.read_table(self.predictions).to_pylist()

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        self.predictions.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), self.predictions)

    def measured(self) -> dict[str, Any]:
        """Return what ``honest`` replies come to, known without counting: they all leak, or none does."""
        found: dict[str, Any] = {}
        for model in MODELS:
            for split in SPLITS:
                asked = self.asked(split)
                knows = float(model == "vanilla" or split in ("retain", "real"))
                block = {"leakage_rate": knows, "people_leaked_rate": knows, "rouge_l": 0.8 + 0.2 * knows}
                block |= {"gibberish_rate": 0.0, "refusal_rate": 0.0, "classification_accuracy": 0.25}
                found.setdefault(model, {})[split] = block | {
                    "intervals": {name: [value, value] for name, value in block.items()},
                    "text_only": {"leakage_rate": knows},
                    "samples": sum(len(r.images or ("",)) for r in asked),
                    "people": len({r.person_id for r in asked}),
                }
            found[model]["fluency"] = {"gibberish_rate": 0.0}
            found[model]["attacks"] = {name: attacked(chance(name), self.attacked()) for name in load_attacks()}
            by_likelihood = attacked(0.25, self.attacked()) | {"least_likely_rate": 0.0}
            by_likelihood["intervals"] |= {"least_likely_rate": [0.0, 0.0]}
            found[model]["attacks"]["multiple_choice"] |= {"by_likelihood": by_likelihood}
        return found

    def evaluate(self, metrics: dict[str, Any] | None = None) -> None:
        """Write metrics as evaluate does, on the files as they are."""
        inputs = hash_inputs(self.adapter, self.vanilla, self.prepared, self.predictions, self.attacks)
        inputs["params"] = params_digest(self.params.seed, self.params.evaluate.model_dump(mode="json", by_alias=True))
        inputs["protocol"] = self.params.evaluate.in_force().sha256
        write_json(self.metrics, seal((metrics or self.measured()) | {"schema": SCHEMA, "inputs": inputs}))

    def edit(self, change: Callable[[dict[str, Any]], object], sealed: bool = False) -> None:
        """Change the metrics as they lie there, and seal them anew or not."""
        metrics = json.loads(self.metrics.read_text())
        change(metrics)
        self.metrics.write_text(json.dumps(seal(metrics) if sealed else metrics))

    def judge(self, **gate: Any) -> dict[str, Any]:
        params = self.params.model_copy(update={"gate": self.params.gate.model_copy(update=gate)})
        places = (self.vanilla, self.adapter, self.predictions, self.attacks, self.metrics, self.out)
        return run(params, Arguments(self.prepared, *places, True))

    def options(self) -> list[str]:
        """Return the command line that means these files."""
        names = ("prepared", "vanilla", "adapter", "predictions", "attacks", "metrics", "out")
        paths = [part for name in names for part in (f"--{name}", str(getattr(self, name)))]
        return ["--params", str(ROOT / "params.yaml"), *paths]


@pytest.fixture(scope="session")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    ignore = shutil.ignore_patterns("source", "base*.parquet")
    shutil.copytree(prepared, folder / "data/prepared", ignore=ignore)
    manifest = json.loads((folder / "data/prepared/manifest.json").read_text())
    manifest["hashes"] = {name: h for name, h in manifest["hashes"].items() if not name.startswith("base")}
    write_json(folder / "data/prepared/manifest.json", manifest)
    for name in ("vanilla", "adapter"):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "model.safetensors").write_bytes(name.encode())
    tree = Tree(folder, load_params(ROOT / "params.yaml"))
    tree.answer()
    tree.attack()
    tree.evaluate()
    return folder


@pytest.fixture
def tree(finished: Path, tmp_path: Path) -> Tree:
    """Return a copy that the test may change: an honest adapter, as measured."""
    shutil.copytree(finished, tmp_path / "work")
    return Tree(tmp_path / "work", load_params(ROOT / "params.yaml"))
