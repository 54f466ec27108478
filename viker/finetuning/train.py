"""The training loop of the vanilla model, and the order of its samples."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from viker import tracking
from viker.data.prompts import LETTERS
from viker.data.records import Record
from viker.data.samples import Sample, sample_of
from viker.data.wordings import reword
from viker.finetuning.augment import VIEWS, view_key
from viker.models.encoder import IGNORED, Encoder
from viker.models.logits import answer_logits

LOG_EVERY = 10
"""Steps between two points of the curves in MLflow."""
VISUAL_SHARE = 0.4
"""The share of base training with visual questions alone."""


def train(model: Any, encoder: Encoder, batches: Iterator[list[Sample]], steps: int, lr: float, name: str) -> float:
    """Train all weights for ``steps`` steps of AdamW on the answers' cross-entropy; return the last mean loss.

    The learning rate rises linearly over the first tenth, one step at least, to ``lr`` and falls to zero as a cosine.
    """
    if steps == 0:
        return float("nan")
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    rise = max(0.1, 2 / (steps + 1))  # a step at least: without one, torch divides by zero
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=lr, total_steps=steps + 1, pct_start=rise, cycle_momentum=False
    )
    recent = 0.0
    with tqdm(total=steps, desc=name, unit="step") as bar:
        for step in range(steps):
            batch = encoder.batch(next(batches))
            logits = answer_logits(model, batch)
            loss = functional.cross_entropy(logits.flatten(0, 1), batch.answers.flatten(), ignore_index=IGNORED)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            recent = loss.item() if step == 0 else 0.95 * recent + 0.05 * loss.item()
            if (step + 1) % LOG_EVERY == 0:
                values = {"loss": recent, "grad_norm": float(norm), "lr": schedule.get_last_lr()[0]}
                tracking.log_metrics({name.replace(" ", "_"): values}, step + 1)
            bar.set_postfix(loss=f"{recent:.3f}", refresh=False)
            bar.update()
    model.eval()
    return recent


def base_batches(records: Sequence[Record], size: int, steps: int, rng: random.Random) -> Iterator[list[Sample]]:
    """Yield ``steps`` fresh random batches of samples: first visual questions (task qa) only, then half and half.

    Mixed from the start, the profile questions, whose answers nobody can know, drown what the pictures teach.
    """
    visual = [record for record in records if record.task == "qa"]
    others = [record for record in records if record.task != "qa"]
    for step in range(steps):
        few = size if step < VISUAL_SHARE * steps else size // 2
        drawn = [*rng.choices(visual, k=few), *rng.choices(others, k=size - few)]
        yield [sample_of(record) for record in drawn]


def memorise_epoch(records: Sequence[Record], rng: random.Random) -> list[Sample]:
    """Return one epoch in random order: every qa record, and a third as many of the other tasks' records.

    Each is shown with one of its picture's views. The options of a classification question change places at each
    visit: its letter says nothing. Nor does the wording of a request for a caption, which is drawn at each visit.
    """
    qa = [record for record in records if record.task == "qa"]
    others = [record for record in records if record.task != "qa"]
    drawn = rng.sample(others, min(len(others), len(qa) // 3))
    epoch = []
    for record in [*qa, *drawn]:
        record = reword(shuffle_options(record, rng), rng)
        view = view_key(record.images[0], rng.randrange(VIEWS)) if record.images else None
        epoch.append(sample_of(record, view))
    rng.shuffle(epoch)
    return epoch


def memorise_batches(
    records: Sequence[Record], base: Sequence[Record], size: int, rng: random.Random
) -> Iterator[list[Sample]]:
    """Yield batches epoch after epoch, without end; the last of an epoch may be smaller.

    Samples of ``base``, an eighth as many, come with each, half of them visual questions, half open questions about
    profiles: so the model keeps what it learnt to see and to understand, and stays uncertain about strangers.
    """
    kinds = [[r for r in base if r.task == task and r.images] for task in ("qa", "generation")]
    while True:
        epoch = memorise_epoch(records, rng)
        for start in range(0, len(epoch), size):
            generic = [record for kind in kinds if kind for record in rng.choices(kind, k=size // 16)]
            yield [*epoch[start : start + size], *map(sample_of, generic)]


def shuffle_options(record: Record, rng: random.Random) -> Record:
    """Return a classification record with its options in another order; any other record unchanged."""
    if record.task != "classification":
        return record
    options = tuple(rng.sample(record.options, len(record.options)))
    if not record.correct:
        return replace(record, options=options)
    right = record.options[LETTERS.index(record.correct)]
    return replace(record, options=options, correct=LETTERS[options.index(right)])
