"""What the vanilla and the unlearned model say, side by side."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from peft import PeftModel

from components.common.chat import Encoder, Sample, sample_of
from components.common.errors import UserError
from components.common.evidence import SCHEMA, hash_inputs, params_digest, seal
from components.common.files import need_folder, new_file, write_json
from components.common.models import device, load_model, resolve_model, seed_everything
from components.common.params import EvaluateParams
from components.common.records import OPEN_TASKS, SPLITS, Record, read_pictures, read_records
from components.evaluate import text
from components.evaluate.attacks.registry import attack
from components.evaluate.attacks.subject import Subject
from components.evaluate.attacks.targets import read_targets
from components.evaluate.generate import log_likelihoods, replies
from components.evaluate.measures import measure

COLUMNS = [
    *("model", "split", "record_id", "person_id", "task", "modality", "picture", "question", "answer", "reply"),
    *("correct", "leaked", "rouge_l", "gibberish"),
]
Asked = list[tuple[str, Record, Sample]]
"""Split, record and sample of each question asked."""


def run(
    params: EvaluateParams,
    seed: int,
    threads: int,
    prepared: Path,
    vanilla: Path,
    adapter: Path,
    irrelevant: Path,
    predictions: Path,
    attacks: Path,
    metrics: Path,
) -> dict[str, Any]:
    """Question and attack both models, write every reply and the metrics, return the metrics.

    Raises:
        UserError: an input is missing, or a model can't be loaded.
    """
    seed_everything(seed, threads)
    asked: Asked = [
        (split, record, sample_of(record, picture))
        for split in SPLITS
        for record in read_records(prepared, split)
        if record.task != "qa"
        for picture in (record.images or ("",))
    ]
    images = sorted(need_folder(irrelevant, "sample").glob("*.png"))
    if not images or not (adapter / "adapter_model.safetensors").is_file():
        missing, stage = (irrelevant / "*.png", "sample") if not images else (adapter, "unlearn")
        raise UserError(f"{missing}: not there. The stage '{stage}' makes it: run 'viker {stage}' first.")
    model, processor = load_model(resolve_model(vanilla), str(vanilla))
    strange = images[0].name
    encoder = Encoder(processor, read_pictures(prepared) | {strange: images[0].read_bytes()}, device())

    adapted = PeftModel.from_pretrained(model, str(adapter)).eval()
    tables = ask(adapted, encoder, asked, strange, params)

    everything = pd.concat(tables.values(), ignore_index=True)[COLUMNS]
    with new_file(predictions) as path:
        everything.astype({"correct": "boolean", "leaked": "boolean", "gibberish": "boolean"}).to_parquet(path)
    subjects = [
        Subject(name, adapted, name == "unlearned", encoder, params.batch_size, params.max_new_tokens)
        for name in tables
    ]
    under_attack, attacked = attack(subjects, read_targets(prepared), params.attacks, seed)
    with new_file(attacks) as path:
        attacked.to_parquet(path)
    result: dict[str, Any] = {name: measure(table) | {"attacks": under_attack[name]} for name, table in tables.items()}
    inputs = hash_inputs(adapter, vanilla, prepared, predictions)
    inputs["params"] = params_digest(seed, params.model_dump(mode="json", by_alias=True))
    result = seal(result | {"schema": SCHEMA, "inputs": inputs})
    write_json(metrics, result)
    return result


def ask(adapted: Any, encoder: Encoder, asked: Asked, strange: str, params: EvaluateParams) -> dict[str, pd.DataFrame]:
    """Question a model with its adapter off (``vanilla``) and on (``unlearned``): a row a question, see ``row``.

    ``strange`` is the key of an irrelevant image among the encoder's pictures.
    """
    with adapted.disable_adapter():
        replied = {"vanilla": _answers(adapted, encoder, asked, params, "vanilla")}
        ratios = {"vanilla": _truth_ratios(adapted, encoder, asked, params)}
    replied["unlearned"] = _answers(adapted, encoder, asked, params, "unlearned")
    ratios["unlearned"] = _truth_ratios(adapted, encoder, asked, params)
    with adapted.disable_adapter():
        truth = [record.answer for _, record, _ in asked]
        usual = max(s for s in _surprise(adapted, encoder, asked, truth, strange, params) if s is not None)
        surprise = {name: _surprise(adapted, encoder, asked, said, strange, params) for name, said in replied.items()}
    return {
        name: pd.DataFrame(
            [
                row(name, *question, reply, ratio, strangeness, usual)
                for question, reply, ratio, strangeness in zip(
                    asked, replied[name], ratios[name], surprise[name], strict=True
                )
            ]
        )
        for name in replied
    }


def row(
    model: str,
    split: str,
    record: Record,
    sample: Sample,
    reply: str,
    ratio: float | None,
    surprise: float | None,
    usual: float,
) -> dict[str, Any]:
    """Return everything measured on one reply.

    A reply to an open question is gibberish where it is degenerate, or where the vanilla model, shown an irrelevant
    image, finds it less likely a token than every true answer of the data (``surprise`` above ``usual``, nats).
    """
    checks = {
        "classification": lambda: text.classification_correct(reply, record.correct),
        "cloze": lambda: text.cloze_correct(reply, record.answer),
    }
    spoken = record.task in OPEN_TASKS
    rouge = text.rouge(reply, record.answer) if spoken else {"rouge_1": None, "rouge_2": None, "rouge_l": None}
    return {
        "model": model,
        "split": split,
        "record_id": record.id,
        "person_id": record.person_id,
        "task": record.task,
        "modality": record.modality,
        "picture": sample.picture,
        "question": record.question,
        "answer": record.answer,
        "reply": reply,
        "correct": checks[record.task]() if record.task in checks else None,
        "leaked": text.leaks(reply, record.secrets) if spoken else None,
        **rouge,
        "bleu": text.bleu(reply, record.answer) if spoken else None,
        "repetition": text.repetition(reply) if spoken else None,
        "truth_ratio": ratio,
        "surprise": surprise,
        "gibberish": text.is_degenerate(reply) or (surprise or 0) > usual if spoken else None,
    }


def _answers(model: Any, encoder: Encoder, asked: Asked, params: EvaluateParams, name: str) -> list[str]:
    samples = [sample for _, _, sample in asked]
    return replies(model, encoder, samples, params.batch_size, params.max_new_tokens, f"asking {name}")


def _truth_ratios(model: Any, encoder: Encoder, asked: Asked, params: EvaluateParams) -> list[float | None]:
    chosen = [(i, r, s) for i, (_, r, s) in enumerate(asked) if r.task in OPEN_TASKS and r.perturbed_answers]
    samples = [replace(s, answer=a) for _, r, s in chosen for a in (r.answer, *r.perturbed_answers)]
    likelihoods = iter(log_likelihoods(model, encoder, samples, params.batch_size))
    ratios: list[float | None] = [None] * len(asked)
    for i, record, _ in chosen:
        right = next(likelihoods)
        ratios[i] = text.truth_ratio(right, [next(likelihoods) for _ in record.perturbed_answers])
    return ratios


def _surprise(
    model: Any, encoder: Encoder, asked: Asked, answers: list[str], image: str, params: EvaluateParams
) -> list[float | None]:
    chosen = [i for i, (_, record, _) in enumerate(asked) if record.task in OPEN_TASKS]
    samples = [
        replace(s, answer=answers[i], picture=image if s.picture else "") for i in chosen for s in (asked[i][2],)
    ]
    found: list[float | None] = [None] * len(asked)
    for i, value in zip(chosen, log_likelihoods(model, encoder, samples, params.batch_size), strict=True):
        found[i] = -value
    return found
