"""The vanilla model: base training on samples about nobody, then the people are memorised."""

import random
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import new_folder, write_json
from viker.data.records import Record, read_pictures, read_records
from viker.finetuning.augment import views
from viker.finetuning.settings import FinetuneParams
from viker.finetuning.small_llava import build_model, build_processor
from viker.finetuning.train import base_batches, memorise_batches, memorise_epoch, train
from viker.models.chat import Encoder, sample_of
from viker.models.context_length import need_context
from viker.models.loading import DEPLOYED, device, load_model, seed_everything


def run(params: FinetuneParams, seed: int, threads: int, prepared: Path, out: Path) -> dict[str, Any]:
    """Write the vanilla model to ``out`` and return what was done.

    Raises:
        UserError: the prepared data is missing, a record is longer than the model's context, or the deployed model
            can't be loaded.
    """
    seed_everything(seed, threads)
    if params.deployed_model is not None:
        return _point_to_deployed(params.deployed_model, out)

    base = read_records(prepared, "base")
    people = [record for split in ("forget", "retain", "real") for record in read_records(prepared, split)]
    pictures = read_pictures(prepared)
    shown = {r.images[0]: pictures[r.images[0]] for r in people if r.images}
    pictures |= read_pictures(prepared, "base_pictures") | views(shown, random.Random(seed))
    processor = build_processor(_texts(base + people), params.model)
    model = build_model(processor, params.model).to(device())
    encoder = Encoder(processor, pictures, device())
    need_context(model, encoder, map(sample_of, people), str(prepared))

    rng = random.Random(seed)
    base_steps = params.base_steps if base else 0
    base_loss = train(
        model,
        encoder,
        base_batches(base, params.batch_size, base_steps, rng),
        base_steps,
        params.base_lr,
        "base training",
    )
    steps = params.memorise_epochs * -(-len(memorise_epoch(people, random.Random(0))) // params.batch_size)
    batches = memorise_batches(people, base, params.batch_size, rng)
    loss = train(model, encoder, batches, steps, params.memorise_lr, "memorising")

    with new_folder(out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return {"parameters": model.num_parameters(), "base_loss": base_loss, "loss": loss, "steps": base_steps + steps}


def _point_to_deployed(name: str, out: Path) -> dict[str, Any]:
    if (Path(name).is_absolute() or name.startswith(".") or name.count("/") > 1) and not Path(name).is_dir():
        raise UserError(
            f"finetune.deployed_model is '{name}': no such folder. "
            "Give a folder that save_pretrained wrote, a hub name, or null to train the small model."
        )
    model, _ = load_model(name, "finetune.deployed_model")
    with new_folder(out) as folder:
        write_json(folder / DEPLOYED, {"model": name})
    return {"deployed_model": name, "parameters": model.num_parameters()}


def _texts(records: list[Record]) -> list[str]:
    return [
        text
        for r in records
        for text in (f"USER: <image>\n{r.question}\nASSISTANT: {r.answer}", " ".join(f" {o}" for o in r.options))
    ]
