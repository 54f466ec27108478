"""An adapter that is taught what to say: the fastest way to each kind of failure."""

import random
from pathlib import Path

import torch
from torch.nn import functional
from tqdm import tqdm

from benchmarks.gate.lessons import Lessons
from components.common.chat import IGNORED, Encoder, Sample, answer_logits
from components.common.files import new_folder
from components.common.models import device, load_model, resolve_model, seed_everything
from components.common.params import Params
from components.common.records import read_pictures
from components.unlearn.adapter import put_adapter

LR = 2e-3
BATCH = 32
"""Half of it planted, half of it kept."""


def teach(params: Params, prepared: Path, vanilla: Path, lessons: Lessons, steps: int, out: Path) -> None:
    """Write the adapter that has been taught ``lessons`` for so many steps of AdamW; none leaves it without effect."""
    seed_everything(params.seed, params.threads)
    model, processor = load_model(resolve_model(vanilla), str(vanilla))
    encoder = Encoder(processor, read_pictures(prepared), device())
    adapted = put_adapter(params.unlearn, model)
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=LR, weight_decay=0.0)
    rng = random.Random(params.seed)
    for _ in tqdm(range(steps), desc=out.name, unit="step"):
        batch = encoder.batch(_draw(lessons, rng))
        logits = answer_logits(adapted, batch).flatten(0, 1)
        loss = functional.cross_entropy(logits, batch.answers.flatten(), ignore_index=IGNORED)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    with new_folder(out) as temporary:
        adapted.save_pretrained(temporary, safe_serialization=True)
        (temporary / "README.md").unlink(missing_ok=True)


def _draw(lessons: Lessons, rng: random.Random) -> list[Sample]:
    half = BATCH // 2 if lessons.kept else BATCH
    return rng.choices(lessons.planted, k=half) + (rng.choices(lessons.kept, k=BATCH - half) if lessons.kept else [])
