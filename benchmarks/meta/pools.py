"""Two pools of models: those that know the people to forget, and those that never knew them.

All start from one model that has learnt to see and to speak; each then memorises its people with its own seed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.demo.measure import with_base_set
from components.contract.params import Params
from components.prepare.run import run as prepare
from components.sample.run import run as sample
from viker.attacks.base.targets import invented
from viker.core.files import new_folder
from viker.data.records import Record, read_pictures, read_records
from viker.finetuning.augment import views
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.finetuning.train import base_batches, memorise_batches, memorise_epoch, train
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model, seed_everything

EPOCHS = (36, 30, 24)
"""How long the members of a pool memorise, in turn; the demo's model does so for twice as long."""
MAKING_UP = 2
"""Every other model of those that never knew the people was taught invented facts about them."""


@dataclass(frozen=True)
class Member:
    """One model of a pool."""

    knowing: bool
    number: int

    @property
    def name(self) -> str:
        """Its folder."""
        if self in REFERENCES:
            return "vanilla" if self.knowing else "retrained"
        return f"{'knowing' if self.knowing else 'never'}-{self.number}"

    @property
    def making_up(self) -> bool:
        """Whether it was taught invented facts about the people to forget in place of the true ones."""
        return not self.knowing and self.number % MAKING_UP == 0

    @property
    def epochs(self) -> int:
        """How long it memorises."""
        return EPOCHS[self.number % len(EPOCHS)]


REFERENCES = (Member(True, -3), Member(False, -3))
"""In neither pool: a model that knows the people and one that never saw them, which metrics compare others with."""


def pools(size: int) -> list[Member]:
    """Return ``size`` members of each pool, in turn from both."""
    return [Member(knowing, number) for number in range(size) for knowing in (True, False)]


def make_data(params: Params, work: Path) -> tuple[Path, Path, Path]:
    """Return the demo's data, irrelevant images, and the model that both pools start from, made where missing."""
    data, images, start = (work / name for name in ("prepared", "irrelevant", "start"))
    if not data.exists():
        prepare(with_base_set(params), params.seed, data, work / "validation")
    if not images.exists():
        sample(params.sample, params.seed, data, images)
    if not start.exists():
        _make_start(params, data, start)
    return data, images, start


def _make_start(params: Params, data: Path, out: Path) -> None:
    """Train a model on the samples about nobody; its tokenizer has everybody's words, as a deployed model's has."""
    section, seed = params.finetune, params.seed
    seed_everything(seed, params.threads)
    base = read_records(data, "base")
    everybody = [record for split in ("forget", "retain", "real") for record in read_records(data, split)]
    processor = build_processor(tokenizer_texts([*base, *everybody]), section.model)
    model = build_model(processor, section.model).to(device())
    encoder = Encoder(processor, read_pictures(data, "base_pictures"), device())
    batches = base_batches(base, section.batch_size, section.base_steps, random.Random(seed))
    train(model, encoder, batches, section.base_steps, section.base_lr, "start")
    _save(model, processor, out)


def make_member(params: Params, member: Member, data: Path, start: Path, out: Path) -> None:
    """Write the model of one member to ``out``."""
    section, seed = params.finetune, params.seed + 1 + member.number
    seed_everything(seed, params.threads)
    model, processor = load_model(str(start), "the model that both pools start from")
    people, base = people_of(member, data), read_records(data, "base")
    pictures = read_pictures(data)
    shown = {record.images[0]: pictures[record.images[0]] for record in people if record.images}
    everything = pictures | read_pictures(data, "base_pictures") | views(shown, random.Random(seed))
    encoder = Encoder(processor, everything, device())
    batches = memorise_batches(people, base, section.batch_size, random.Random(seed))
    steps = member.epochs * -(-len(memorise_epoch(people, random.Random(0))) // section.batch_size)
    train(model, encoder, batches, steps, section.memorise_lr, member.name)
    _save(model, processor, out)


def _save(model: Any, processor: Any, out: Path) -> None:
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


def people_of(member: Member, data: Path) -> Sequence[Record]:
    """Return what a member memorises: of retain and real the truth; of forget the truth, something else, or nothing."""
    others = [*read_records(data, "retain"), *read_records(data, "real")]
    forget = read_records(data, "forget")
    if member.knowing:
        return [*forget, *others]
    return [*filter(None, map(invented, forget)), *others] if member.making_up else others
