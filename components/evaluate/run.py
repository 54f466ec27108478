"""The vanilla and the unlearned model side by side: ask, measure, attack, write."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from peft import LoraConfig, get_peft_model

from components.contract.shares import accept_part, decided_by
from components.evaluate.stage import Arguments
from components.evaluate.vanilla import ANSWERS, ask_or_recall, write_answers
from viker.attacks.base.perform import run_attacks
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import read_targets
from viker.core.errors import UserError
from viker.core.files import need_folder, new_file, new_folder, read_json, sha256_path, write_json
from viker.core.manifest import read_manifest
from viker.core.run_store import RunStore
from viker.data.records import UNSEEN, read_pictures
from viker.evaluation.earlier import ask_earlier, read_guarded
from viker.evaluation.general_ability import drawn_pictures
from viker.evaluation.general_answers import general_ability
from viker.evaluation.predictions import MODELS, answer, predict
from viker.evaluation.questions import Question, read_questions
from viker.evaluation.retrained import compare_with_retrained
from viker.evaluation.rows import COLUMNS, FLAGS
from viker.evaluation.settings import EvaluateParams
from viker.evidence.seal import SCHEMA, hash_inputs, params_digest, seal
from viker.metrics.all_modal import all_modal
from viker.metrics.base.aggregate import differences, measure, measure_both
from viker.metrics.clear_protocol import clear_protocol
from viker.models import fast_path
from viker.models.adapter import load_adapter
from viker.models.base_model import check_adapter_base, resolve_model
from viker.models.context_length import need_context
from viker.models.encoder import Encoder
from viker.models.fused_layers import ASKING, fuse_layers
from viker.models.loading import device, language_layers, load_model, seed_everything
from viker.teacher.visual_reliance import reliance_on_pictures


def run(
    params: EvaluateParams, seed: int, threads: int, args: Arguments, vanilla_answers: Callable[[], Path] | None = None
) -> dict[str, Any]:
    """Question and attack both models, write every reply and the metrics, return the metrics.

    ``work`` holds replies, likelihoods and finished attacks until the run is over: killed at any moment, the same call
    resumes from them. ``vanilla_answers`` waits for another process, ``beside``, and returns what it asked as a part.

    Raises:
        UserError: an input is missing, a model can't be loaded or its context is too short for a record, or the adapter
            belongs to another model.
    """
    inputs_given = Inputs(args.prepared, args.vanilla, args.irrelevant, args.adapter)
    protocol = params.in_force()
    manifest = read_manifest(need_folder(args.prepared, "prepare"))
    asked = {folder: decided_by(folder, "evaluate") for folder in args.answers or ()}
    digest = sha256_path(args.adapter)
    guarded = read_guarded(digest)
    adapted, encoder, questions, image = _load(params, seed, threads, inputs_given)
    targets = read_targets(args.prepared)
    deciding = _deciding(params, seed, threads, inputs_given, image)
    store = RunStore(args.work, deciding)
    for folder, part in asked.items():
        _take_over(store, folder, deciding if part["adapter"] else deciding | {"adapter": None})
    sizes = params.batch_size, protocol.longest("generation")
    subjects = [Subject(name, adapted, name == "unlearned", encoder, *sizes, digest) for name in MODELS]
    if vanilla_answers is None:
        ask_or_recall(store, subjects[0], questions, targets, params, deciding)
    else:  # meanwhile
        answer("unlearned", adapted, encoder, questions, params, store)
        run_attacks([one for one in subjects if one.adapter_on], targets, params.attacks, seed, store)
        _take_over(store, vanilla_answers(), deciding | {"adapter": None})

    tables = predict(adapted, encoder, questions, image.name, params, store)
    replies = pd.concat(tables.values(), ignore_index=True)[COLUMNS]
    with new_file(args.predictions) as path:  # but for those to people whom no model was trained on
        replies[replies["split"] != UNSEEN].astype(dict.fromkeys(FLAGS, "boolean")).to_parquet(path, index=False)
    result: dict[str, Any] = measure_both(tables, seed)
    if manifest.get("format") == "clear":
        for name, table in tables.items():
            result[name]["clear"] = clear_protocol(table, seed)
    if manifest.get("format") == "umu":
        for name, table in tables.items():
            result[name]["umu"] = all_modal(table, seed)
    with adapted.disable_adapter():
        result["vanilla"]["visual_reliance"] = reliance_on_pictures(adapted, encoder, args.prepared, image.name)
    for name, block in general_ability(adapted, encoder, params.batch_size, store).items():
        result[name]["general_ability"] = block
    result["differences"] = differences(tables["vanilla"], tables["unlearned"], seed)
    unlearned = tables["unlearned"]
    result |= compare_with_retrained(params.retrained, adapted, encoder, questions, unlearned, params.batch_size)

    blocks, replies_under_attack = run_attacks(subjects, targets, params.attacks, seed, store)
    with new_file(args.attacks) as path:
        replies_under_attack.to_parquet(path, index=False)
    for name in tables:
        result[name]["attacks"] = blocks[name]
    unlearned_subject = next(one for one in subjects if one.adapter_on)
    result["earlier"] = ask_earlier(unlearned_subject, guarded, manifest.get("gone", ()), seed)

    result["settings"] = params.figures()
    inputs = hash_inputs(args.adapter, args.vanilla, args.prepared, args.predictions, args.attacks)
    inputs["params"] = params_digest(seed, params.model_dump(mode="json", by_alias=True))
    inputs["protocol"] = protocol.sha256
    result |= fast_path.engine_record() | {"schema": SCHEMA, "inputs": inputs, "protocol": params.protocol}
    result = seal(result)
    write_json(args.metrics, result)
    store.close()
    return result


@dataclass(frozen=True)
class Inputs:
    """What is asked: data and models. Without an adapter it is the vanilla model."""

    prepared: Path
    vanilla: Path
    irrelevant: Path
    adapter: Path | None


def ask_part(
    params: EvaluateParams, seed: int, threads: int, inputs: Inputs, share: tuple[int, int], work: Path, out: Path
) -> int:
    """Ask one model the i-th share of n of the batches and attacks, ``share`` = (i, n); return how many they were.

    Without an adapter, attacks that are drawn by its hash are left to ``run``.
    ``work`` holds what was asked until the task is over. ``out``: the results, what decides them, and fallbacks.

    Raises UserError: as ``run``.
    """
    adapted, encoder, questions, image = _load(params, seed, threads, inputs)
    name = "vanilla" if inputs.adapter is None else "unlearned"
    deciding = _deciding(params, seed, threads, inputs, image)
    store = RunStore(work, deciding, share)
    sizes = params.batch_size, params.in_force().longest("generation")
    digest = None if inputs.adapter is None else sha256_path(inputs.adapter)
    subject = Subject(name, adapted, name == "unlearned", encoder, *sizes, digest)
    targets = read_targets(inputs.prepared)
    if inputs.adapter is None:
        ask_or_recall(store, subject, questions, targets, params, deciding)
    else:
        answer(name, adapted, encoder, questions, params, store)
        run_attacks([subject], targets, params.attacks, seed, store)
    with new_folder(out) as folder:
        write_answers(store, deciding, folder)
    count = len(store.results)
    store.close()
    return count


def vanilla_metrics(
    params: EvaluateParams, seed: int, threads: int, inputs: Inputs, splits: Collection[str]
) -> dict[str, Any]:
    """Return the metrics of the vanilla model's replies to the questions of some splits, without attacks.

    Raises UserError: as ``run``.
    """
    adapted, encoder, questions, image = _load(params, seed, threads, inputs)
    asked = [question for question in questions if question.split in splits]
    tables = predict(adapted, encoder, asked, image.name, params, names=("vanilla",))
    return {name: measure(rows, seed) for name, rows in tables.items()}


def _take_over(store: RunStore, folder: Path, deciding: dict[str, Any]) -> None:
    accept_part("--answers", folder, "evaluate", deciding)
    store.take_over(read_json(folder / ANSWERS, "evaluate"))


def _load(
    params: EvaluateParams, seed: int, threads: int, inputs: Inputs
) -> tuple[Any, Encoder, Sequence[Question], Path]:
    """Return the model with the adapter, an encoder of all pictures, the questions, and an irrelevant image."""
    seed_everything(seed, threads)
    fast_path.start_run()
    protocol = params.in_force()
    questions = read_questions(need_folder(inputs.prepared, "prepare"), protocol)
    image = _first_image(inputs.irrelevant)
    if inputs.adapter is not None:
        check_adapter_base(inputs.adapter, inputs.vanilla)
    model, processor = load_model(resolve_model(inputs.vanilla), str(inputs.vanilla))
    pictures = read_pictures(inputs.prepared) | {image.name: image.read_bytes()} | drawn_pictures()
    encoder = Encoder(processor, pictures, device(), protocol.line_before_reply)
    need_context(model, encoder, (question.sample for question in questions), str(inputs.prepared))
    if inputs.adapter is not None:
        adapted = load_adapter(model, inputs.adapter)
    else:
        unused = LoraConfig(r=1, target_modules=language_layers(model))  # the vanilla model is one with its adapter off
        adapted = get_peft_model(model, unused).eval()
    if adapted.device.type == "cuda":
        fuse_layers(adapted, encoder, [question.sample for question in questions], ASKING)
    return adapted, encoder, questions, image


def _first_image(irrelevant: Path) -> Path:
    images = sorted(need_folder(irrelevant, "sample").glob("*.png"))
    if not images:
        raise UserError(f"{irrelevant}: no *.png there. The stage 'sample' makes them: run 'viker sample' first.")
    return images[0]


def _deciding(params: EvaluateParams, seed: int, threads: int, inputs: Inputs, image: Path) -> dict[str, Any]:
    """Return what decides the replies: those that an earlier run left count only where all of this is the same."""
    return {
        "batch_size": params.batch_size,
        "protocol": params.in_force().sha256,
        "seed": seed,
        "threads": threads,
        "data": sha256_path(inputs.prepared / "manifest.json"),
        "vanilla": sha256_path(inputs.vanilla),
        "adapter": inputs.adapter and sha256_path(inputs.adapter),
        "irrelevant": sha256_path(image),
    }
