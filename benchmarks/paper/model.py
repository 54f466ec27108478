"""The model that knows everybody by sight: trained from nothing on pictures and answers, until it looks at them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from benchmarks.paper.people import ASKED, People, kind_of
from viker.core.errors import UserError
from viker.core.files import new_folder
from viker.data.records import Record
from viker.data.samples import Sample, sample_of
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.finetuning.train import train
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model, seed_everything
from viker.teacher.visual_reliance import visual_reliance


@dataclass(frozen=True)
class Size:
    """A model's sizes, and the learning rate and steps of AdamW that teach it the people; of ``BATCH`` answers each."""

    model: ModelParams
    lr: float
    steps: int


SIZES = {
    "toy": Size(
        ModelParams(
            image_size=48, patch_size=8, vision_width=96, vision_layers=2, width=128, layers=3, heads=4, vocabulary=4096
        ),
        lr=2e-3,
        steps=1000,
    ),
    "medium": Size(
        ModelParams(
            image_size=48,
            patch_size=8,
            vision_width=256,
            vision_layers=6,
            width=768,
            layers=12,
            heads=12,
            vocabulary=4096,
        ),
        lr=3e-4,
        steps=2000,
    ),
}
"""``toy``, of 1 million parameters, for two cores; ``medium``, of 100 million, for a GPU."""
BATCH = 32
FACES, FACES_LR, FACES_STEPS = 64, 1e-3, 1500
"""Pictures per step of what comes first, see ``learn_faces``."""
LEAST_RELIANCE = 0.5
"""Of the trained model, or methods that unlearn by the picture have nothing to show."""


def known_model(
    people: People, seed: int, threads: int, out: Path, size: Size
) -> tuple[Any, Encoder, dict[str, float]]:
    """Return the model, trained unless it is in ``out``, its encoder and its visual reliance.

    Raises UserError: it relies on the pictures less than ``LEAST_RELIANCE``.
    """
    seed_everything(seed, threads)
    if not out.exists():
        wordings = [replace(r, question=ASKED[kind_of(r)][1]) for r in people.records]
        processor = build_processor(tokenizer_texts([*people.records, *wordings]), size.model)
        model = build_model(processor, size.model).to(device())
        encoder = Encoder(processor, people.pictures, device())
        rng = random.Random(seed)
        for part in learn_faces(model, encoder, people.records, rng):
            part.requires_grad_(False)  # as where LLaVA is unlearnt; trained on too, the model takes no notice of it
        train(model, encoder, batches([*people.records, *wordings], rng), size.steps, size.lr, "learning the people")
        with new_folder(out) as folder:
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
    model, encoder = load_known(people, out, seed, threads)
    asked = [*people.asked["forget"], *people.asked["retain"]]
    samples = [sample_of(record) for record in asked]
    reliance = visual_reliance(
        model,
        encoder,
        samples,
        [people.irrelevant] * len(samples),
        {record.id: record.secrets for record in asked},
        {record.id: record.person_id for record in asked},
    )
    if reliance["reliance"] < LEAST_RELIANCE:
        raise UserError(
            f"The model relies on the pictures by {reliance['reliance']:.2f}, less than {LEAST_RELIANCE:.2f}: "
            f"{reliance['own']:.2f} with the own picture, {reliance['irrelevant']:.2f} with an irrelevant one."
        )
    return model, encoder, reliance


def learn_faces(
    model: Any, encoder: Encoder, records: Sequence[Record], rng: random.Random
) -> tuple[torch.nn.Module, ...]:
    """Teach vision tower and projector to tell the people apart; return the two.

    They learn with a linear head, which is dropped. A deployed model's vision tower has seen millions of pictures; this
    one has seen none.
    """
    shown = {record.person_id: record for record in records}
    names = sorted(shown)
    head = torch.nn.Linear(model.config.text_config.hidden_size, len(names)).to(device())
    parts = (model.model.vision_tower, model.model.multi_modal_projector)
    learning = [p for part in (head, *parts) for p in part.parameters()]
    optimizer = torch.optim.AdamW(learning, lr=FACES_LR, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, FACES_STEPS)
    for _ in tqdm(range(FACES_STEPS), desc="learning the faces", unit="step"):
        drawn = rng.sample(range(len(names)), min(FACES, len(names)))
        samples = [sample_of(shown[names[one]], rng.choice(shown[names[one]].images)) for one in drawn]
        pixels = encoder.batch(samples).inputs["pixel_values"]
        seen = torch.stack(list(model.model.get_image_features(pixel_values=pixels).pooler_output)).mean(1)
        functional.cross_entropy(head(seen), torch.tensor(drawn, device=seen.device)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
    return parts


def load_known(people: People, folder: Path, seed: int, threads: int) -> tuple[Any, Encoder]:
    """Return the trained model in ``folder`` and its encoder, everything seeded."""
    seed_everything(seed, threads)
    model, processor = load_model(str(folder), "the benchmark's model")
    return model, Encoder(processor, people.pictures, device())


def batches(records: list[Record], rng: random.Random) -> Iterator[list[Sample]]:
    """Yield batches without end, epoch after epoch, each record with one of its pictures."""
    while True:
        order = rng.sample(records, len(records))
        for start in range(0, len(order), BATCH):
            yield [sample_of(record, rng.choice(record.images)) for record in order[start : start + BATCH]]
