"""The model that is deployed: trained from nothing until it tells the people by sight and by name."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.paper.model import BATCH, SIZES, learn_faces
from benchmarks.tune.people import TablePerson
from viker.core.files import new_folder
from viker.data.records import Record, read_records
from viker.data.samples import Sample, sample_of
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.finetuning.train import shuffle_options, train
from viker.models.encoder import Encoder
from viker.models.loading import device, seed_everything

EPOCHS, LEAST_STEPS = 20, 1500
"""How long the language part learns: as many epochs, and no fewer steps."""


def train_model(people: Sequence[TablePerson], prepared: Path, seed: int, threads: int, out: Path) -> None:
    """Train a model on all that is asked about the people in the prepared data, with other pictures of them.

    It never sees the strangers of the split ``unseen``, nor a picture that it is asked about.
    """
    seed_everything(seed, threads)
    size, rng = SIZES["toy"], random.Random(seed)
    pictures = {f"{one.id}-{n}": content for one in people for n, content in enumerate(one.trained_on)}
    records = {}
    for split in ("forget", "test", "retain", "real"):
        for record in read_records(prepared, split):
            if record.images:
                shown = tuple(key for key in pictures if key.startswith(f"{record.person_id}-"))
                record = replace(record, images=shown)
            records[record.person_id, record.question, record.options, record.answer, bool(record.images)] = record
    learnt = list(records.values())
    processor = build_processor(tokenizer_texts([*learnt, *read_records(prepared, "unseen")]), size.model)
    model = build_model(processor, size.model).to(device())
    encoder = Encoder(processor, pictures, device())
    for part in learn_faces(model, encoder, [record for record in learnt if record.images], rng):
        part.requires_grad_(False)
    steps = max(LEAST_STEPS, EPOCHS * len(learnt) // BATCH)
    train(model, encoder, _batches(learnt, rng), steps, size.lr, "learning the people")
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


def _batches(records: Sequence[Record], rng: random.Random) -> Iterator[list[Sample]]:
    while True:
        order = [shuffle_options(record, rng) for record in rng.sample(records, len(records))]
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            yield [sample_of(record, rng.choice(record.images) if record.images else None) for record in batch]
