"""Teaching an adapter what to say: the fastest way to each kind of failure."""

import random
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from benchmarks.gate.lessons import Lessons
from components.contract.params import Params
from viker.core.files import new_folder
from viker.data.records import read_pictures
from viker.data.samples import Sample
from viker.models.base_model import resolve_model
from viker.models.encoder import IGNORED, Encoder
from viker.models.loading import device, load_model, seed_everything
from viker.models.logits import answer_logits
from viker.training.adapter import put_adapter

LR = 2e-3
BATCH = 32
"""Half of it planted lessons, half of it kept ones."""


def teach(params: Params, prepared: Path, vanilla: Path, lessons: Lessons, steps: int, out: Path) -> None:
    """Write the adapter that has been taught ``lessons`` for ``steps`` steps of AdamW; after none it has no effect."""
    model, encoder = subject(params, prepared, vanilla)
    adapted = put_adapter(params.unlearn, model)
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=LR, weight_decay=0.0)
    rng = random.Random(params.seed)
    for _ in tqdm(range(steps), desc=out.parent.name, unit="step"):
        lesson_loss(adapted, encoder, lessons, rng).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    save(adapted, out)


def subject(params: Params, prepared: Path, vanilla: Path) -> tuple[Any, Encoder]:
    """Return the vanilla model and its encoder with the data's pictures, everything seeded."""
    seed_everything(params.seed, params.threads)
    model, processor = load_model(resolve_model(vanilla), str(vanilla))
    return model, Encoder(processor, read_pictures(prepared), device())


def lesson_loss(adapted: Any, encoder: Encoder, lessons: Lessons, rng: random.Random) -> torch.Tensor:
    """Return the mean negative log-likelihood per token, nats, of a newly drawn batch of lessons."""
    batch = encoder.batch(_draw(lessons, rng))
    logits = answer_logits(adapted, batch).flatten(0, 1)
    return functional.cross_entropy(logits, batch.answers.flatten(), ignore_index=IGNORED)


def save(adapted: Any, out: Path) -> None:
    """Write the adapter as unlearn does."""
    with new_folder(out) as temporary:
        adapted.save_pretrained(temporary, safe_serialization=True)
        (temporary / "README.md").unlink(missing_ok=True)


def _draw(lessons: Lessons, rng: random.Random) -> list[Sample]:
    half = BATCH // 2 if lessons.kept else BATCH
    return rng.choices(lessons.planted, k=half) + (rng.choices(lessons.kept, k=BATCH - half) if lessons.kept else [])
