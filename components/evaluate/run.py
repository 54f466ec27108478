"""The vanilla and the unlearned model side by side: ask, measure, attack, write."""

from pathlib import Path
from typing import Any

import pandas as pd

from components.evaluate.stage import Arguments
from viker.attacks.base.perform import run_attacks
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import read_targets
from viker.core.errors import UserError
from viker.core.files import need_folder, new_file, read_json, sha256_path, write_json
from viker.core.run_store import RunStore
from viker.data.records import UNSEEN, read_pictures
from viker.evaluation.predictions import predict
from viker.evaluation.questions import read_questions
from viker.evaluation.retrained import compare_with_retrained
from viker.evaluation.rows import COLUMNS, FLAGS
from viker.evaluation.settings import EvaluateParams
from viker.evidence.seal import SCHEMA, hash_inputs, params_digest, seal
from viker.metrics.all_modal import all_modal
from viker.metrics.base.aggregate import differences, measure_both
from viker.metrics.clear_protocol import clear_protocol
from viker.models import fast_path
from viker.models.adapter import load_adapter
from viker.models.base_model import check_adapter_base, resolve_model
from viker.models.context_length import need_context
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model, seed_everything


def run(params: EvaluateParams, seed: int, threads: int, args: Arguments) -> dict[str, Any]:
    """Question and attack both models, write every reply and the metrics, return the metrics.

    ``work`` holds replies, likelihoods and finished attacks until the run is over: killed at any moment, the same call
    resumes from them.

    Raises:
        UserError: an input is missing, a model can't be loaded or its context is too short for a record, or the adapter
            belongs to another model.
    """
    seed_everything(seed, threads)
    fast_path.start_run()
    protocol = params.in_force()
    manifest = read_json(need_folder(args.prepared, "prepare") / "manifest.json", "prepare")
    questions, targets = read_questions(args.prepared, protocol), read_targets(args.prepared)
    image = _first_image(args.irrelevant)
    check_adapter_base(args.adapter, args.vanilla)
    model, processor = load_model(resolve_model(args.vanilla), str(args.vanilla))
    pictures = read_pictures(args.prepared) | {image.name: image.read_bytes()}
    encoder = Encoder(processor, pictures, device(), protocol.line_before_reply)
    need_context(model, encoder, (question.sample for question in questions), str(args.prepared))
    adapted = load_adapter(model, args.adapter)
    store = RunStore(args.work, _deciding(params, seed, threads, args.prepared, args.vanilla, args.adapter, image))

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
    result["differences"] = differences(tables["vanilla"], tables["unlearned"], seed)
    unlearned = tables["unlearned"]
    result |= compare_with_retrained(params.retrained, adapted, encoder, questions, unlearned, params.batch_size)

    sizes = params.batch_size, protocol.longest("generation")
    digest = sha256_path(args.adapter)
    subjects = [Subject(name, adapted, name == "unlearned", encoder, *sizes, digest) for name in tables]
    blocks, replies_under_attack = run_attacks(subjects, targets, params.attacks, seed, store)
    with new_file(args.attacks) as path:
        replies_under_attack.to_parquet(path, index=False)
    for name in tables:
        result[name]["attacks"] = blocks[name]

    result["settings"] = params.figures()
    inputs = hash_inputs(args.adapter, args.vanilla, args.prepared, args.predictions, args.attacks)
    inputs["params"] = params_digest(seed, params.model_dump(mode="json", by_alias=True))
    inputs["protocol"] = protocol.sha256
    result |= fast_path.engine_record() | {"schema": SCHEMA, "inputs": inputs, "protocol": params.protocol}
    result = seal(result)
    write_json(args.metrics, result)
    store.close()
    return result


def _first_image(irrelevant: Path) -> Path:
    images = sorted(need_folder(irrelevant, "sample").glob("*.png"))
    if not images:
        raise UserError(f"{irrelevant}: no *.png there. The stage 'sample' makes them: run 'viker sample' first.")
    return images[0]


def _deciding(
    params: EvaluateParams, seed: int, threads: int, prepared: Path, vanilla: Path, adapter: Path, image: Path
) -> dict[str, Any]:
    """Return what decides the replies: those that an earlier run left count only where all of this is the same."""
    return {
        "batch_size": params.batch_size,
        "protocol": params.in_force().sha256,
        "seed": seed,
        "threads": threads,
        "data": sha256_path(prepared / "manifest.json"),
        "vanilla": sha256_path(vanilla),
        "adapter": sha256_path(adapter),
        "irrelevant": sha256_path(image),
    }
