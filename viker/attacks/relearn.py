"""A short training: what comes back that was not taught again was not forgotten.

Sources: Hu et al., "Jogging the Memory of Unlearned LLMs Through Targeted Relearning Attacks", 2024; Deeb and Roger,
"Do Unlearning Methods Remove Information from Language Model Weights?", 2024, who also teach some facts and ask others.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from peft import LoraConfig
from torch.nn import functional
from tqdm import tqdm

from viker.attacks.settings import RelearnParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, ask
from viker.attacks.targets import NotApplicable, Targets, invented, open_records, spread
from viker.data.records import Record
from viker.models.chat import IGNORED, Sample, answer_logits, sample_of

_NAME = "relearn"


def run_forget(subject: Subject, targets: Targets, settings: RelearnParams, seed: int) -> Attacked:
    """Teach a few of the forget people's facts again, and ask for the others.

    ``curve`` has for each number of steps the leakage of the others, ``taught``, how many of the taught facts the
    model says, and ``never_knew``, how many it says of as many invented facts about the same people, taught to it in
    the same way: so fast goes what the model really never knew.

    Raises:
        NotApplicable: nothing is left to ask for.
    """
    records = targets.questions(settings.questions, seed)
    taught = spread(records, settings.samples, seed)
    facts = {(record.person_id, record.answer) for record in taught}
    others = [record for record in records if (record.person_id, record.answer) not in facts]
    if not others:
        raise NotApplicable(f"there are no facts to ask for besides the {len(taught)} that are taught again")
    tables, curve = [], []
    for steps, learner in _taught(subject, [sample_of(r) for r in taught], settings, seed, "relearning forget"):
        rows = _ask(learner, [*others, *taught], f"after {steps} steps")
        tables.append(rows[: len(others)])
        curve.append(_point(steps, rows[: len(others)]) | {"taught": float(rows[len(others) :]["leaked"].mean())})
    strange = [record for record in map(invented, taught) if record]
    if strange:
        lessons = [sample_of(record) for record in strange]
        for point, (steps, learner) in zip(curve, _taught(subject, lessons, settings, seed, "invented"), strict=True):
            point["never_knew"] = float(_ask(learner, strange, f"after {steps} steps")["leaked"].mean())
    return _worst(tables, curve)


def run_retain(subject: Subject, targets: Targets, settings: RelearnParams, seed: int) -> Attacked:
    """Train on retain people's facts alone, and ask for the forget people's.

    Raises:
        NotApplicable: there is no retain sample with a picture.
    """
    lessons = spread([record for record in open_records(targets.retain) if record.images], settings.samples, seed)
    if not lessons:
        raise NotApplicable("no retain person has an open question with a picture")
    records = targets.questions(settings.questions, seed)
    tables, curve = [], []
    for steps, learner in _taught(subject, [sample_of(r) for r in lessons], settings, seed, "relearning retain"):
        tables.append(_ask(learner, records, f"after {steps} steps"))
        curve.append(_point(steps, tables[-1]))
    return _worst(tables, curve)


@contextmanager
def adapter_to_teach(subject: Subject, seed: int) -> Iterator[Subject]:
    """Yield the subject with a fresh, trainable adapter beside its own; on leaving, the model is what it was.

    Its own adapter and the model under it stay frozen. The fresh one is of the sizes of the model's first.
    """
    model = subject.model
    own = [*model.active_adapters] if subject.adapter_on else []
    before, trainable = [*model.active_adapters], {n: p.requires_grad for n, p in model.named_parameters()}
    like = next(iter(model.peft_config.values()))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = LoraConfig(
            r=like.r,
            lora_alpha=like.lora_alpha,
            target_modules=like.target_modules,
            exclude_modules=like.exclude_modules,
        )
        model.add_adapter(_NAME, config)
    try:
        model.base_model.set_adapter([*own, _NAME])
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(f".{_NAME}." in name)
        yield replace(subject, adapter_on=True)
    finally:
        model.base_model.set_adapter(before)
        model.delete_adapter(_NAME)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trainable[name])


def _taught(
    subject: Subject, lessons: Sequence[Sample], settings: RelearnParams, seed: int, label: str
) -> Iterator[tuple[int, Subject]]:
    """Yield (steps, learner) before the first step and after each of ``settings.steps`` of AdamW on ``lessons``."""
    order = torch.Generator().manual_seed(seed)
    waiting: list[int] = []
    with adapter_to_teach(subject, seed) as learner:
        optimizer = torch.optim.AdamW(
            [p for p in learner.model.parameters() if p.requires_grad], lr=settings.lr, weight_decay=0.0
        )
        yield 0, learner
        bar = tqdm(range(1, settings.steps[-1] + 1), desc=f"{label}, {subject.name}", unit="step")
        for step in bar:
            if not waiting:
                waiting = torch.randperm(len(lessons), generator=order).tolist()
            drawn, waiting = waiting[: settings.batch_size], waiting[settings.batch_size :]
            batch = learner.encoder.batch([lessons[i] for i in drawn])
            with torch.enable_grad():
                logits = answer_logits(learner.model, batch).flatten(0, 1)
                loss = functional.cross_entropy(logits, batch.answers.flatten(), ignore_index=IGNORED)
                loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if step in settings.steps:
                yield step, learner


def _ask(learner: Subject, records: Sequence[Record], label: str) -> pd.DataFrame:
    return ask(learner, [Question(record, sample_of(record)) for record in records], label)


def _point(steps: int, rows: pd.DataFrame) -> dict[str, Any]:
    chance = rows["chance"].dropna()
    return {
        "steps": steps,
        "leakage_rate": float(rows["leaked"].mean()),
        "chance_rate": float(chance.mean()) if len(chance) else None,
    }


def _worst(tables: Sequence[pd.DataFrame], curve: Sequence[dict[str, Any]]) -> Attacked:
    """Return the rows after as many steps as leak most, the fewest of them: an attacker stops there."""
    worst = max(range(1, len(curve)), key=lambda i: curve[i]["leakage_rate"])
    return Attacked(tables[worst], {"steps": curve[worst]["steps"], "curve": list(curve)})
