"""What the vanilla and the unlearned model say, side by side: ask, measure, attack, write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from peft import PeftModel

from viker.attacks.registry import attack
from viker.attacks.subject import Subject
from viker.attacks.targets import read_targets
from viker.core.errors import UserError
from viker.core.files import need_folder, new_file, read_json, sha256_path, write_json
from viker.core.run_store import RunStore
from viker.data.records import UNSEEN, read_pictures
from viker.evaluation.ask import ask, known_scores
from viker.evaluation.questions import Question, read_questions
from viker.evaluation.retrained import kl_to_retrained, load_retrained
from viker.evaluation.rows import COLUMNS, FLAGS, likelihoods
from viker.evaluation.settings import EvaluateParams
from viker.evidence.seal import SCHEMA, hash_inputs, params_digest, seal
from viker.metrics.base.aggregate import differences, measure
from viker.metrics.clear_protocol import clear_protocol
from viker.metrics.retrained_model import forget_quality
from viker.models.adapter_base import need_own_adapter
from viker.models.chat import Encoder
from viker.models.context_length import need_context
from viker.models.loading import device, load_model, resolve_model, seed_everything


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
    work: Path,
) -> dict[str, Any]:
    """Question and attack both models, write every reply and the metrics, return the metrics.

    ``work`` keeps replies, likelihoods and finished attacks until the run is over: killed at any moment, the same call
    goes on.

    Raises:
        UserError: an input is missing, a model can't be loaded or is too short for a record, or the adapter belongs
            to another model.
    """
    seed_everything(seed, threads)
    manifest = read_json(need_folder(prepared, "prepare") / "manifest.json", "prepare")
    questions = read_questions(prepared, params.one_sentence)
    images = sorted(need_folder(irrelevant, "sample").glob("*.png"))
    if not images:
        raise UserError(f"{irrelevant}: no *.png there. The stage 'sample' makes them: run 'viker sample' first.")
    need_own_adapter(adapter, vanilla)
    model, processor = load_model(resolve_model(vanilla), str(vanilla))
    strange = images[0].name
    encoder = Encoder(processor, read_pictures(prepared) | {strange: images[0].read_bytes()}, device())
    need_context(model, encoder, (question.sample for question in questions), str(prepared))
    adapted = PeftModel.from_pretrained(model, str(adapter)).eval()
    kept = RunStore(work, _inputs(params, seed, threads, prepared, vanilla, adapter, images[0]))

    tables = ask(adapted, encoder, questions, strange, params, kept)
    everything = pd.concat(tables.values(), ignore_index=True)[COLUMNS]
    everything = everything[everything["split"] != UNSEEN]
    with new_file(predictions) as path:
        everything.astype(dict.fromkeys(FLAGS, "boolean")).to_parquet(path, index=False)

    result: dict[str, Any] = {name: measure(table, seed) for name, table in tables.items()}
    if manifest.get("format") == "clear":
        for name, table in tables.items():
            result[name]["clear"] = clear_protocol(table, seed)
    result["differences"] = differences(tables["vanilla"], tables["unlearned"], seed)
    result |= beside_retrained(params, adapted, encoder, questions, tables["unlearned"])

    subjects = [
        Subject(name, adapted, name == "unlearned", encoder, params.batch_size, params.max_new_tokens)
        for name in tables
    ]
    under_attack, attacked = attack(subjects, read_targets(prepared), params.attacks, seed, kept)
    with new_file(attacks) as path:
        attacked.to_parquet(path, index=False)
    for name in tables:
        result[name]["attacks"] = under_attack[name]

    inputs = hash_inputs(adapter, vanilla, prepared, predictions, attacks)
    inputs["params"] = params_digest(seed, params.model_dump(mode="json", by_alias=True))
    result = seal(result | {"schema": SCHEMA, "inputs": inputs})
    write_json(metrics, result)
    kept.close()
    return result


def beside_retrained(
    params: EvaluateParams, adapted: Any, encoder: Encoder, questions: Sequence[Question], unlearned: pd.DataFrame
) -> dict[str, Any]:
    """Return ``forget_quality`` and ``kl_to_retrained`` of the unlearned model; None where no gold model is named."""
    if params.retrained is None:
        return {"forget_quality": None, "kl_to_retrained": None}
    gold = load_retrained(params.retrained, encoder.tokenizer.get_vocab())
    asked = [question for question in questions if question.split == "forget" and question.spoken]
    scores = known_scores(gold, encoder, asked, params.batch_size, "scoring retrained")
    ratios = [likelihoods(question, known).get("truth_ratio") for question, known in zip(asked, scores, strict=True)]
    ours = unlearned[unlearned["split"] == "forget"]["truth_ratio"].dropna().astype(float)
    samples = [question.sample for question in asked]
    return {
        "forget_quality": forget_quality(ours.tolist(), [ratio for ratio in ratios if ratio is not None]),
        "kl_to_retrained": kl_to_retrained(gold, adapted, encoder, samples, params.batch_size),
    }


def _inputs(
    params: EvaluateParams, seed: int, threads: int, prepared: Path, vanilla: Path, adapter: Path, image: Path
) -> dict[str, Any]:
    """Return what decides the replies: what was kept of other inputs is of no use."""
    return {
        "evaluate": params.model_dump(mode="json", include={"batch_size", "max_new_tokens", "one_sentence"}),
        "seed": seed,
        "threads": threads,
        "data": sha256_path(prepared / "manifest.json"),
        "vanilla": sha256_path(vanilla),
        "adapter": sha256_path(adapter),
        "irrelevant": sha256_path(image),
    }
