"""The vanilla model: base training on samples about nobody, then the people are memorised; or a deployed model."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.data.records import Record
from viker.data.samples import sample_of
from viker.finetuning.arithmetic import same_sums
from viker.finetuning.augment import views
from viker.finetuning.settings import FinetuneParams
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.finetuning.train import base_batches, memorise_batches, memorise_epoch, train
from viker.models.context_length import need_context
from viker.models.encoder import Encoder
from viker.models.loading import check_model, device


def train_vanilla(
    params: FinetuneParams,
    seed: int,
    base: Sequence[Record],
    people: Sequence[Record],
    pictures: dict[str, bytes],
    base_pictures: dict[str, bytes],
    source: str,
) -> tuple[Any, Any, dict[str, Any]]:
    """Train a small LLaVA from scratch; return the model, its processor and a summary.

    The summary: ``parameters`` (a count), ``base_loss`` and ``loss`` (mean cross-entropy in nats per token), ``steps``.

    ``people`` are memorised; ``base``, samples about nobody, comes first, or is left out where there are none. Both
    have their encoded pictures by hash. ``seed`` is that of the pictures' views and of the order of the samples: seed
    torch beforehand. ``source`` is what errors call the records.

    Raises UserError: a record of ``people`` is longer than the model's context.
    """
    first_pictures = {r.images[0]: pictures[r.images[0]] for r in people if r.images}
    everything = pictures | base_pictures | views(first_pictures, random.Random(seed))
    processor = build_processor(tokenizer_texts([*base, *people]), params.model)
    model = build_model(processor, params.model).to(device())
    encoder = Encoder(processor, everything, device())
    need_context(model, encoder, map(sample_of, people), source)

    rng = random.Random(seed)
    base_steps = params.base_steps if base else 0
    steps = params.memorise_epochs * -(-len(memorise_epoch(people, random.Random(0))) // params.batch_size)
    with same_sums():
        batches = base_batches(base, params.batch_size, base_steps, rng)
        base_loss = train(model, encoder, batches, base_steps, params.base_lr, "base training")
        batches = memorise_batches(people, base, params.batch_size, rng)
        loss = train(model, encoder, batches, steps, params.memorise_lr, "memorising")
    summary = {"parameters": model.num_parameters(), "base_loss": base_loss, "loss": loss, "steps": base_steps + steps}
    return model, processor, summary


def check_deployed(name: str) -> dict[str, Any]:
    """Return the summary of a deployed model, a folder or hub name; its weights aren't read, which may be 14 GB.

    Of a folder's weights the names and shapes are compared with the configuration.

    Raises UserError: there is no such folder, it is no image-text-to-text model, or its weights aren't the model's.
    """
    if (Path(name).is_absolute() or name.startswith(".") or name.count("/") > 1) and not Path(name).is_dir():
        raise UserError(
            f"finetune.deployed_model is '{name}': no such folder. "
            "Give a folder that save_pretrained wrote, a hub name, or null to train the small model."
        )
    model = check_model(name, "finetune.deployed_model")
    return {"deployed_model": name, "parameters": model.num_parameters()}
