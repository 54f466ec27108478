"""Relearn: a short training. What comes back that was not taught again was not forgotten.

Sources: Hu et al., "Jogging the Memory of Unlearned LLMs Through Targeted Relearning Attacks", 2024; Deeb and Roger,
"Do Unlearning Methods Remove Information from Language Model Weights?", 2024, who also teach some facts and ask others.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.held_out import batches
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.attacks.base.targets import RETAIN_QUESTION, NotApplicable, Targets, invented, open_records, spread
from viker.core.settings import Positive, Rate
from viker.data.samples import Sample, sample_of

if TYPE_CHECKING:
    import pandas as pd

    from viker.attacks.base.subject import Subject
    from viker.data.records import Record

_NAME = "relearn"
"""Of the adapter that is trained."""


class RelearnSettings(AttackSettings):
    """Settings of the attack relearn_forget: a short training on a few samples."""

    samples: Positive = 6
    """How many samples are trained on."""
    steps: list[Positive] = Field([2, 5, 10, 20], min_length=1)
    """After how many steps the questions are asked."""
    batch_size: Positive = 4
    """Samples per step."""
    lr: Rate = 0.001
    """Learning rate of AdamW, constant."""

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: list[int]) -> list[int]:
        if steps != sorted(set(steps)):
            raise ValueError("expected rising numbers, none twice")
        return steps


class RelearnRetainSettings(RelearnSettings):
    """Settings of the attack relearn_retain."""

    samples: Positive = 48
    batch_size: Positive = 8


def run_forget(subject: Subject, targets: Targets, settings: RelearnSettings, seed: int) -> Outcome:
    """Teach a few of the forget people's facts again, and ask for the others.

    ``curve`` has for each number of steps the leakage of the others; ``taught``, the share of the taught facts that the
    model says; and ``never_knew``, the share of as many invented facts about the same people, taught in the same way:
    how fast the model learns what it never knew.
    """
    taught, others = _divided(targets, settings, seed)
    if not others:
        raise NotApplicable
    tables, curve = [], []
    for steps, learner in train(subject, list(map(sample_of, taught)), settings, seed, "relearning forget"):
        rows = _ask(learner, [*others, *taught], steps)
        tables.append(rows[: len(others)])
        curve.append(_point(steps, rows[: len(others)]) | {"taught": float(rows[len(others) :]["leaked"].mean())})
    never_known = [record for record in map(invented, taught) if record]
    if never_known:
        learners = train(subject, list(map(sample_of, never_known)), settings, seed, "invented")
        for point, (steps, learner) in zip(curve, learners, strict=True):
            point["never_knew"] = float(_ask(learner, never_known, steps)["leaked"].mean())
    return _worst(tables, curve)


def _divided(targets: Targets, settings: RelearnSettings, seed: int) -> tuple[list[Record], list[Record]]:
    """Return the questions that are taught again, and those about other facts, which are asked."""
    records = targets.questions(settings.questions, seed)
    taught = spread(records, settings.samples, seed)
    taught_facts = {(record.person_id, record.answer) for record in taught}
    return taught, [record for record in records if (record.person_id, record.answer) not in taught_facts]


def run_retain(subject: Subject, targets: Targets, settings: RelearnSettings, seed: int) -> Outcome:
    """Train on retain people's facts alone, and ask for the forget people's."""
    lessons = spread([record for record in open_records(targets.retain) if record.images], settings.samples, seed)
    if not lessons:
        raise NotApplicable
    records = targets.questions(settings.questions, seed)
    tables, curve = [], []
    for steps, learner in train(subject, list(map(sample_of, lessons)), settings, seed, "relearning retain"):
        tables.append(_ask(learner, records, steps))
        curve.append(_point(steps, tables[-1]))
    return _worst(tables, curve)


@contextmanager
def adapter_to_teach(subject: Subject, seed: int) -> Iterator[Subject]:
    """Yield the subject with a fresh, trainable adapter besides its own; on leaving, the model is what it was.

    Its own adapter and the model under it stay frozen. The fresh one has the sizes of the model's first.
    """
    import torch
    from peft import LoraConfig

    from viker.models.lora_precision import compute_in_model_precision

    model = subject.model
    active = [*model.active_adapters]
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    first = next(iter(model.peft_config.values()))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = ("r", "lora_alpha", "target_modules", "exclude_modules")
        model.add_adapter(_NAME, LoraConfig(**{name: getattr(first, name) for name in sizes}))
        compute_in_model_precision(model)
    try:
        model.base_model.set_adapter([*(active if subject.adapter_on else ()), _NAME])
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(f".{_NAME}." in name)
        yield replace(subject, adapter_on=True)
    finally:
        model.base_model.set_adapter(active)
        model.delete_adapter(_NAME)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trainable[name])


def train(
    subject: Subject, lessons: Sequence[Sample], settings: RelearnSettings, seed: int, label: str
) -> Generator[tuple[int, Subject]]:
    """Yield (steps, learner) before the first step and after each of ``settings.steps`` of AdamW on ``lessons``."""
    import torch
    from tqdm import tqdm

    drawn = batches(lessons, settings.batch_size, settings.steps[-1], seed)
    with adapter_to_teach(subject, seed) as learner:
        trained = [parameter for parameter in learner.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=settings.lr, weight_decay=0.0)
        yield 0, learner
        bar = tqdm(drawn, total=settings.steps[-1], desc=f"{label}, {subject.name}", unit="step")
        for step, batch in enumerate(bar, 1):
            for parameter, gradient in zip(trained, learner.gradients(batch, trained), strict=True):
                parameter.grad = gradient
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if step in settings.steps:
                yield step, learner


def _ask(learner: Subject, records: Sequence[Record], steps: int) -> pd.DataFrame:
    return ask(learner, [Attempt(record, sample_of(record)) for record in records], f"after {steps} steps")


def _point(steps: int, rows: pd.DataFrame) -> dict[str, Any]:
    chance = rows["chance"].dropna()
    rate, chance_rate = float(rows["leaked"].mean()), float(chance.mean()) if len(chance) else None
    return {"steps": steps, "leakage_rate": rate, "chance_rate": chance_rate}


def _worst(tables: Sequence[pd.DataFrame], curve: Sequence[dict[str, Any]]) -> Outcome:
    """Return the rows after as many steps as leak most, the fewest of them: an attacker stops there."""
    worst = max(range(1, len(curve)), key=lambda i: curve[i]["leakage_rate"])
    return Outcome(tables[worst], {"steps": curve[worst]["steps"], "curve": list(curve)})


FACT_LEFT = "fact left to ask for besides those that are taught again"
RELEARN_FORGET = Attack(
    "relearn_forget",
    "Relearning on forget facts",
    run_forget,
    RelearnSettings,
    FACT_LEFT,
    expected=lambda targets, settings, seed: _divided(targets, settings, seed)[1],
)
RELEARN_RETAIN = Attack(
    "relearn_retain",
    "Relearning on retain facts",
    run_retain,
    RelearnRetainSettings,
    RETAIN_QUESTION,
    expected=lambda targets, settings, seed: targets.questions(settings.questions, seed),
)
