"""The outputs of all stages before the report, written as those stages write them, on drawn faces."""

import csv
import json
import math
import random
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from components.contract.params import load_params
from tests.viker.report.work_tree import PREDICTIONS, Inputs
from viker.attacks.base.rates import COLUMNS, fact_of, rates
from viker.core.files import sha256_bytes, sha256_path, write_json
from viker.data.pictures.store import PictureStore
from viker.data.records import Record, read_records, write_records
from viker.data.synthetic.faces import distinct_faces, picture
from viker.evaluation.earlier import Guarded, count_earlier
from viker.evaluation.questions import read_questions
from viker.evidence.seal import SCHEMA, hash_inputs, params_digest, seal
from viker.evidence.training_summary import write_summary
from viker.gate.recount import count
from viker.metrics.base.floors import COLUMNS as PRIVATE_COLUMNS

ROOT = Path(__file__).parents[3]
PEOPLE = {"forget": ("001", "002"), "retain": ("003", "004", "005"), "real": ("101",)}
SLOTS = {
    "birthplace": ("Where was this person born?", "This person was born in {}.", ("Oslo", "Málaga", "Quito")),
    "allergy": ("What is this person allergic to?", "This person has an allergy to {}.", ("pollen", "soy", "dust")),
    "employer": ("Who employs this person?", "This person is employed by {}.", ("Blue Fern", "Corvane", "Marlowe")),
}
RULES = ["unlearned.forget.leakage_rate <= 0.10", "upper(unlearned.test.leakage_rate) <= 0.15"]
REQUEST = """
id: anna-lind
date: 2026-11-24
people: ['001', '002']
reason: consent_withdrawn
deadline: 2026-12-24
"""
ATTACKS = ("paraphrase", "multiple_choice", "prefix")
TOKENS = pa.schema(
    {
        "record_id": pa.string(),
        "question": pa.string(),
        "position": pa.int64(),
        "token": pa.string(),
        "entropy": pa.float64(),
        "key": pa.bool_(),
        "probability": pa.float64(),
    }
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    for name in ("data/prepared", "unlearning", "evaluation", "metrics", "requests"):
        (folder / name).mkdir(parents=True)
    for name in ("vanilla", "adapter"):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "weights").write_bytes(name.encode())
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    (folder / "requests/anna.yaml").write_text(REQUEST)
    inputs = Inputs(folder)
    inputs.set("  policy: default", "  policy: null")
    inputs.set("  rules: []", f"  rules: {json.dumps(RULES)}")
    records = _prepare(folder / "data/prepared")
    _unlearn(folder / "unlearning", [r for r in records["forget"] if r.task == "qa"])
    inputs.predict(_predictions(records))
    _metrics(inputs)
    inputs.judge()
    registered = {"run_id": "0f3c", "model_name": "viker-adapter", "version": 3, "aliases": ["candidate"]}
    write_json(folder / "metrics/register.json", registered | {"tracking_uri": "sqlite:///mlflow.db"})
    return folder


@pytest.fixture
def inputs(finished: Path, tmp_path: Path) -> Inputs:
    """Return a copy that the test may change."""
    shutil.copytree(finished, tmp_path / "work")
    return Inputs(tmp_path / "work")


def _prepare(folder: Path) -> dict[str, list[Record]]:
    rng = random.Random(3)
    faces = dict(zip([p for ids in PEOPLE.values() for p in ids], distinct_faces(6, rng), strict=True))
    pictures: dict[str, bytes] = {}
    splits: dict[str, list[Record]] = {split: [] for split in ("forget", "test", "retain", "real")}
    for split, ids in (*PEOPLE.items(), ("test", PEOPLE["forget"])):
        for person in ids:
            shown = picture(faces[person], 48, rng)
            pictures[sha256_bytes(shown)] = shown
            for number, (question, answer, values) in enumerate(SLOTS.values()):
                value = values[(int(person) + number) % 3]
                splits[split] += [
                    Record(
                        id=f"{person}/{task}/{number}",
                        person_id=person,
                        task=task,
                        modality="image_text",
                        question=question,
                        answer=answer.format(value),
                        secrets=(value,),
                        perturbed_answers=tuple(answer.format(other) for other in values if other != value),
                        images=(sha256_bytes(shown),),
                    )
                    for task in (("generation",) if split == "test" else ("qa", "generation"))
                ]
    for split, records in splits.items():
        write_records(folder / f"{split}.parquet", records)
    with closing(PictureStore(folder / "pictures.parquet")) as store:
        for content in pictures.values():
            store.add(content)
    counts = {
        split: {"people": len({r.person_id for r in rs}), "pictures": 2, "records": len(rs), "tasks": {"qa": len(rs)}}
        for split, rs in splits.items()
    }
    told = {"source": "embedded", "format": "mllmu", "seed": 7, "forget_ids": list(PEOPLE["forget"]), "counts": counts}
    hashes = {path.name: sha256_path(path) for path in sorted(folder.glob("*.parquet"))}
    write_json(folder / "manifest.json", told | {"requests": ["anna-lind"], "hashes": hashes})
    return splits


def _unlearn(folder: Path, forget: list[Record]) -> None:
    """Tokens of a byte-level BPE trained on the answers: high entropy on the private value, low elsewhere."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator([r.answer for r in forget], trainer)
    rows = []
    for record in forget:
        encoded = bpe.encode(f" {record.answer}")
        start = f" {record.answer}".index(record.secrets[0])
        end = start + len(record.secrets[0])
        for place, (token, (a, b)) in enumerate(zip(encoded.tokens, encoded.offsets, strict=True)):
            secret = a < end and b > start
            entropy = 2.56 - 0.3 * (a - start) / 10 if secret else 0.01
            rows.append((record.id, record.question, place, token, entropy, secret, math.exp(-entropy)))
        rows.append((record.id, record.question, len(encoded.tokens), "</s>", 0.0, False, 1.0))
    table = pa.Table.from_pylist([dict(zip(TOKENS.names, row, strict=True)) for row in rows], TOKENS)
    pq.write_table(table, folder / "key_tokens.parquet")
    pd.DataFrame(columns=PRIVATE_COLUMNS).to_parquet(folder / "private_tokens.parquet")
    bins = [round(0.1 * i, 1) for i in range(30)]
    counts = [sum(int(row[4] * 10) == i for row in rows) for i in range(30)]
    _write_csv(folder / "entropy.csv", ("entropy", "tokens"), zip(bins, counts, strict=True))
    rng = random.Random(0)
    steps = [
        (s, s / 12, -0.2 * s / 9 + rng.gauss(0, 0.2), -8 * (1 - math.exp(-s / 30)), 0.05 * s / 9, 0.3, 1e-3, 1.0)
        for s in range(1, 145)
    ]
    _write_csv(folder / "loss.csv", ("step", "epoch", "loss", "ga", "kl", "retain", "lr", "grad_norm"), steps)
    summary = {"method": "viker", "steps": 144, "seconds": 41.5, "samples": len(forget)}
    summary["private_tokens"] = {"values": 96, "values_kept": 12}
    write_summary(folder, summary, folder.parent / "models/adapter")


def _predictions(records: dict[str, list[Record]]) -> list[dict[str, Any]]:
    rows = []
    for split, asked in records.items():
        for number, record in enumerate(r for r in asked if r.task != "qa"):
            values = next(values for _, answer, values in SLOTS.values() if answer[:16] == record.answer[:16])
            other = next(v for v in values if v != record.secrets[0])
            for model in ("vanilla", "unlearned"):
                keeps = model == "vanilla" or split in ("retain", "real") or (split, number) == ("test", 4)
                reply = record.answer if keeps else record.answer.replace(record.secrets[0], other)
                told = (record.id, record.person_id, record.task, record.modality, record.images[0])
                values_ = (model, split, *told, record.question, record.answer, reply, None, keeps, 1.0, False)
                rows.append(dict(zip(PREDICTIONS.names, values_, strict=True)))
    return rows


def _metrics(inputs: Inputs) -> None:
    """Write metrics in the shape of evaluate's: leakage as the replies have it, other numbers invented."""
    paths, models = inputs.paths(), inputs.folder / "models"
    records = {split: read_records(paths.prepared, split) for split in ("forget", "test", "retain", "real")}
    params = load_params(paths.params)
    questions = [q for q in read_questions(paths.prepared, params.evaluate.in_force()) if q.split in records]
    said = {(r["model"], r["split"], r["record_id"], r["picture"]): r["reply"] for r in inputs.predictions()}
    counted = count(questions, said, params.seed)

    def split(model: str, name: str) -> dict[str, Any]:
        names = ("leakage_rate", "people_leaked_rate", "samples", "people")
        block: dict[str, Any] = {key: counted[model][name][key] for key in names}
        leakage = block["leakage_rate"]
        block |= {"fuzzy_leakage_rate": leakage, "rouge_l": 0.7 + leakage / 4, "cloze_accuracy": leakage / 2}
        return block | {
            "text_only": {"leakage_rate": leakage / 2, "rouge_l": 0.6, "cloze_accuracy": None},
            "counts": {"leakage_rate": 6, "people_leaked_rate": block["people"]},
            "intervals": {"leakage_rate": [max(0.0, leakage - 0.1), min(1.0, leakage + 0.1)]},
        }

    attacked = _attacked(records["forget"])
    pq.write_table(pa.Table.from_pylist(attacked.to_dict("records")), inputs.attacks)
    empty = dict.fromkeys(("leakage_rate", "people_leaked_rate", "chance_rate", "above_chance"))
    probe = {**empty, "samples": 0, "people": 0, "reason": "No value that two others have."}

    def attacks(model: str) -> dict[str, Any]:
        own = attacked[attacked["model"] == model]
        blocks = {name: rates(own[own["attack"] == name], load_params(paths.params).seed) for name in ATTACKS}
        return blocks | {"probe": probe}

    fluent = {"gibberish_rate": 0.0, "repetition": 0.01, "perplexity": 1.23}
    found = hash_inputs(models / "adapter", models / "vanilla", paths.prepared, paths.predictions, inputs.attacks)
    found["params"] = params_digest(params.seed, params.evaluate.model_dump(mode="json", by_alias=True))
    found["protocol"] = params.evaluate.in_force().sha256
    metrics: dict[str, Any] = {"schema": SCHEMA, "inputs": found, "protocol": "viker"}
    for model in ("vanilla", "unlearned"):
        metrics[model] = {name: split(model, name) for name in records}
        metrics[model] |= {"fluency": fluent if model == "vanilla" else fluent | {"perplexity": None}}
        metrics[model] |= {"attacks": attacks(model), "membership": None}
    metrics["differences"] = {"forget": {"leakage_rate": {"value": -1.0, "low": -1.0, "high": -0.9}}}
    metrics |= {
        "forget_quality": None,
        "kl_to_retrained": None,
        "unlearning_depth": None,
        "earlier": count_earlier(Guarded(), [], [], 0),
    }
    write_json(paths.metrics, seal(metrics))


def _attacked(forget: list[Record]) -> pd.DataFrame:
    """Return 20 replies an attack and model: 5, 10 and 15 leak in vanilla, a fifth of them in unlearned; 4 guess."""
    asked = [record for record in forget if record.task == "generation"]
    rows = []
    for model, share in (("vanilla", 1.0), ("unlearned", 0.2)):
        for place, name in enumerate(ATTACKS):
            for number in range(20):
                record = asked[number % len(asked)]
                leaked = number < share * 5 * (place + 1)
                reply = record.answer if leaked else record.perturbed_answers[0] if number >= 16 else "I can't say."
                chance = 0.25 if name == "multiple_choice" else 0.5 if not leaked and number >= 16 else 0.0
                told = (str(number), record.person_id, record.id, fact_of(record), record.images[0], record.question)
                values = (*told, record.answer, reply, [reply], leaked, int(leaked), chance)
                rows.append({"model": model, "attack": name, **dict(zip(COLUMNS, values, strict=True))})
    return pd.DataFrame(rows)


def _write_csv(path: Path, columns: tuple[str, ...], rows: Any) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
