"""One method on one seed: accuracy about the people to forget and to retain, every few steps of unlearning."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.demo.measure import make_vanilla
from benchmarks.methods.asking import Asking, Point
from components.contract.params import Params
from viker.core.errors import UserError
from viker.data.irrelevant.assignment import images_of, read_irrelevant
from viker.data.records import read_pictures, read_records
from viker.data.samples import sample_of
from viker.generation.generate import replies
from viker.methods.base.method import MethodSettings, RetainTerm, method_of
from viker.methods.base.method import methods as all_methods
from viker.metrics.leakage import leaks
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model, seed_everything
from viker.teacher.visual import TEACHER_BATCH, compute_teachers
from viker.training.make_trainer import make_trainer

EVERY = 8
"""Steps between two measurements."""
LEAST = 0.05
"""Forget accuracy at which a run ends: below the last level of the table."""
EPOCHS = 12
"""The most a method gets."""
WEIGHT = 5.0
"""Of an added retain term; the demo's."""
TOKENS = 24
"""The longest reply; the demo's answers are shorter."""
LR = 5e-4
RATES = {"idk": 1e-3, "po": 1e-3, "rmu": 2e-3, "undial": 1e-3}
"""Learning rates of those that barely forget at ``LR`` within ``EPOCHS``."""
OWN: dict[str, dict[str, Any]] = {"rmu": {"layer": 1, "steering": 40.0, "alpha": 3.0}}
"""Settings other than the defaults: RMU's are for hidden states of another size."""


def chosen(names: Sequence[str], terms: Sequence[str]) -> list[MethodSettings]:
    """Return the settings of every named method that unlearns, with every retain term.

    Raises UserError: there is no such method or term.
    """
    unlearning = {name: method for name, method in all_methods().items() if method.unlearns}
    wanted = list(unlearning) if list(names) == ["all"] else names
    if unknown := [name for name in wanted if name not in unlearning]:
        raise UserError(f"--methods: no method {', '.join(unknown)} that unlearns; there are {', '.join(unlearning)}.")
    if unknown := [term for term in terms if term not in ("none", "kl", "nll")]:
        raise UserError(f"--retain: no term {', '.join(unknown)}; there are none, kl and nll.")
    made: list[RetainTerm] = [RetainTerm.model_validate({"term": term, "weight": WEIGHT}) for term in terms]
    return [unlearning[name].settings(**OWN.get(name, {}), retain=term) for term in made for name in wanted]


def measure(params: Params, seed: int, method: MethodSettings, work: Path) -> list[dict[str, Any]]:
    """Return a row at the start and after every ``EVERY`` steps, until ``LEAST`` or the last epoch.

    Accuracy is the share of open questions with a picture, in other words than those trained on, whose greedy reply has
    the private value. ``seconds`` are those of teacher and training, without the measuring.
    """
    data, images, vanilla = make_vanilla(params, seed, work)
    seed_everything(seed, params.threads)
    records = {split: read_records(data, split) for split in ("forget", "retain")}
    irrelevant, assigned = read_irrelevant(images)
    model, processor = load_model(str(vanilla), "the benchmark's model")
    encoder = Encoder(processor, read_pictures(data) | irrelevant, device())
    qa = {split: [sample_of(r) for r in own if r.task == "qa" and r.images] for split, own in records.items()}
    asked = {split: [r for r in own if r.task == "generation" and r.images] for split, own in records.items()}
    changes = {"method": method, "lr": RATES.get(method.name, LR), "epochs": EPOCHS}
    began = time.perf_counter()
    teachers: Any = []
    if method_of(method).takes_teacher(method):
        seen = images_of(assigned, [sample.record_id for sample in qa["forget"]])
        teachers = compute_teachers(model, encoder, qa["forget"], seen, TEACHER_BATCH)
    section = params.unlearn.model_copy(update=changes)
    trainer = make_trainer(section, seed, model, encoder, qa["forget"], qa["retain"], teachers)
    name = method_of(method).described(method)

    def ask(adapted: Any) -> Point:
        accuracy = {}
        for split, of_split in asked.items():
            samples = [sample_of(record) for record in of_split]
            said = replies(adapted, encoder, samples, params.evaluate.batch_size, TOKENS, split)
            right = [bool(leaks(reply, record.secrets)) for reply, record in zip(said, of_split, strict=True)]
            accuracy[split] = sum(right) / len(right)
        return accuracy

    asking = Asking(ask, began, EVERY, lambda point: point["forget"] <= LEAST)
    trainer.add_callback(asking)
    trainer.train()
    rows = [{"seed": seed, "setting": name} | point for point in asking.points]
    print(name, rows[-1], flush=True)
    return rows
