"""A work tree as it is when the gate is due: real data, replies to all of its questions, and what they come to."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.contract.params import Params, load_params
from components.gate.run import run
from components.gate.stage import Arguments
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.outcome import Attempt, Outcome, reply_rows
from viker.attacks.base.perform import perform
from viker.attacks.base.rates import COLUMNS
from viker.attacks.base.rehearsal import SilentSubject
from viker.attacks.base.targets import read_targets
from viker.core.files import sha256_path, write_json
from viker.data.asked import is_asked, shown_examples
from viker.data.prompts import target_for
from viker.data.records import SPLITS, Record, read_pictures, read_records
from viker.data.samples import Sample, sample_of
from viker.evaluation.earlier import Guarded, count_earlier
from viker.evaluation.general_ability import count_ability, general_questions
from viker.evaluation.questions import read_questions
from viker.evidence.seal import SCHEMA, hash_inputs, params_digest, seal
from viker.evidence.training_summary import RECORDS, write_summary
from viker.gate.recount import count
from viker.metrics.base.floors import COLUMNS as FLOORS
from viker.metrics.base.floors import spans_of_values, summarised
from viker.metrics.base.private_values import judged

ROOT = Path(__file__).parents[3]
MODELS = ("vanilla", "unlearned")
Say = Callable[[str, str, Record], str]


def honest(model: str, split: str, record: Record) -> str:
    """Return what a model says that has forgotten: nothing of the forget people, the truth about all others."""
    return target_for(record) if model == "vanilla" or split in ("retain", "real") else "Somewhere else."


@dataclasses.dataclass(frozen=True)
class Respondent(SilentSubject):
    """Stands for a model under attack: vanilla says and picks the truth, unlearned neither."""

    answers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def replies(self, samples: Sequence[Sample], label: str) -> list[str]:
        return [self.answers.get(sample.record_id, self.reply) for sample in samples]

    def drawn_replies(self, samples: Sequence[Sample], *how: Any) -> list[list[str]]:
        return [[reply] * how[1] for reply in self.replies(samples, "")]

    def likelihoods(self, samples: Sequence[Sample]) -> list[float]:
        """Return for every four answers, of which the first is the right one, which is likelier."""
        return [-float(place % 4) if self.answers else float(place % 4) for place in range(len(samples))]


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
                "unlearning": "unlearning",
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

    def attack(self) -> dict[str, Any]:
        """Write what both models say under every attack, and return the rates of each attack, by model."""
        tables = []
        blocks: dict[str, Any] = {model: {} for model in MODELS}
        targets, seed = read_targets(self.prepared), self.params.seed
        truth = {record.id: record.answer for record in targets.forget}
        for model in MODELS:
            digest, pictures = sha256_path(self.adapter), read_pictures(self.prepared)
            said = truth if model == "vanilla" else {}
            subject = Respondent(pictures, digest, "Somewhere else.", model, said)
            for name, settings in self.params.evaluate.attacks.items():
                attack = load_attacks()[name]
                if attack.expected:
                    asked = [Attempt(record, sample_of(record)) for record in attack.expected(targets, settings, seed)]
                    replies = [[said.get(attempt.record.id, "Somewhere else.")] for attempt in asked]
                    pairs = zip(asked, replies, strict=True)
                    chances = [attack.recount_chance(name, one.record, said_to, math.nan) for one, said_to in pairs]
                    outcome = Outcome(reply_rows(asked, replies, chances))
                    run = lambda *_, outcome=outcome: outcome  # noqa: E731
                    attack = dataclasses.replace(attack, run=run) if asked else attack
                finished = perform(attack, subject, targets, settings, seed)  # type: ignore[arg-type]
                blocks[model][name] = finished["block"]
                tables += [
                    pd.DataFrame(rows, columns=list(COLUMNS)).assign(model=model, attack=table)
                    for table, rows in finished["rows"].items()
                ]
        pd.concat(tables, ignore_index=True).to_parquet(self.attacks, index=False)
        return blocks

    def rows(self) -> list[dict[str, Any]]:
        return pq.read_table(self.predictions).to_pylist()

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        self.predictions.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), self.predictions)

    def measured(self) -> dict[str, Any]:
        """Return what the replies come to as they lie there."""
        questions = [q for q in read_questions(self.prepared, self.params.evaluate.in_force()) if q.split in SPLITS]
        replies = {(r["model"], r["split"], r["record_id"], r["picture"]): r["reply"] for r in self.rows()}
        found = json.loads(json.dumps(count(questions, replies, self.params.seed)))
        attacks = self.attack()
        right = "".join(str(one.right) for one in general_questions())
        for model in MODELS:
            found[model] |= {"attacks": attacks[model], "membership": {"loss_auc": 0.9 if model == "vanilla" else 0.5}}
            found[model] |= {"general_ability": count_ability(right, right)}
        found["earlier"] = count_earlier(Guarded(), [], [], self.params.seed)
        return found | {"settings": self.params.evaluate.figures()}

    def evaluate(self, metrics: dict[str, Any] | None = None) -> None:
        """Write metrics, those that are there if none are given, as measured on the files as they are."""
        if metrics is None:
            metrics = json.loads(self.metrics.read_text()) if self.metrics.exists() else self.measured()
        inputs = hash_inputs(self.adapter, self.vanilla, self.prepared, self.predictions, self.attacks)
        inputs["params"] = params_digest(self.params.seed, self.params.evaluate.model_dump(mode="json", by_alias=True))
        inputs["protocol"] = self.params.evaluate.in_force().sha256
        write_json(self.metrics, seal(metrics | {"schema": SCHEMA, "inputs": inputs}))

    def edit(self, change: Callable[[dict[str, Any]], object], sealed: bool = False) -> None:
        """Change the metrics as they lie there, and seal them anew or not."""
        metrics = json.loads(self.metrics.read_text())
        change(metrics)
        self.metrics.write_text(json.dumps(seal(metrics) if sealed else metrics))

    def judge(self, **gate: Any) -> dict[str, Any]:
        params = self.params.model_copy(update={"gate": self.params.gate.model_copy(update=gate)})
        places = (self.vanilla, self.adapter, self.unlearning, self.predictions, self.attacks, self.metrics, self.out)
        return run(params, Arguments(self.prepared, *places, enforce=True, power=False))

    def unlearn(self, floor: float = 0.0) -> None:
        """Write the records of an unlearning run, with this floor under every private token."""
        values = judged({split: read_records(self.prepared, split) for split in ("forget", "retain")})["forget"]
        rows = [
            (one.id, one.person_id, one.question, value, 0, "x", floor, floor, 0.9, 1.0)
            for one in values
            if one.task == "qa"
            for value, _ in enumerate(spans_of_values(sample_of(one).answer, one.secrets))
        ]
        private = pd.DataFrame(rows, columns=FLOORS)
        self.unlearning.mkdir(exist_ok=True)
        for name in RECORDS:
            (self.unlearning / name).write_text(name)
        private.to_parquet(self.unlearning / "private_tokens.parquet", index=False)
        write_summary(self.unlearning, {"private_tokens": summarised(private)}, self.adapter)

    def options(self) -> list[str]:
        """Return the command line that means these files."""
        names = ("prepared", "vanilla", "adapter", "unlearning", "predictions", "attacks", "metrics", "out")
        paths = [part for name in names for part in (f"--{name}", str(getattr(self, name)))]
        return ["--params", str(self.folder / "params.yaml"), *paths]


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
    text = (ROOT / "params.yaml").read_text()  # so few facts that some must be left to ask for
    (folder / "params.yaml").write_text(text.replace("questions: 200, samples: 6", "questions: 200, samples: 4"))
    tree = Tree(folder, load_params(folder / "params.yaml"))
    tree.answer()
    tree.evaluate()
    tree.unlearn()
    return folder


@pytest.fixture
def tree(finished: Path, tmp_path: Path) -> Tree:
    """Return a copy that the test may change: an honest adapter, as measured."""
    shutil.copytree(finished, tmp_path / "work")
    return Tree(tmp_path / "work", load_params(tmp_path / "work/params.yaml"))
