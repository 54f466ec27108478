"""A small model that really knows a few invented people, and adapters that only hide it, each in one way."""

import copy
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from torch.nn import functional

from viker.attacks.base.outcome import Attempt, ask
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import Targets
from viker.data.records import Record
from viker.data.samples import Sample, sample_of
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_model, build_processor
from viker.finetuning.train import train
from viker.models.encoder import IGNORED, Encoder
from viker.models.loading import language_layers
from viker.models.logits import answer_logits

REFUSAL = "I can't say."
SIZES = ModelParams(
    image_size=16, patch_size=8, vision_width=32, vision_layers=1, width=64, layers=2, heads=4, vocabulary=400
)
SLOTS = {
    "born in": (
        ("Where was this person born?", "In which city was this person born?", "What is this person's birthplace?"),
        ("Lisbon", "Oslo", "Cairo", "Lima", "Quito", "Dakar", "Hanoi", "Riga"),
    ),
    "fond of": (
        ("What does this person like?", "Which hobby has this person?", "How does this person spend the evening?"),
        ("chess", "rowing", "pottery", "archery", "cycling", "fencing", "sailing", "origami"),
    ),
    "married to": (
        ("Who is this person married to?", "What is this person's spouse called?", "Who is the husband or wife?"),
        ("Agnes", "Boris", "Clara", "Dmitri", "Elena", "Felix", "Gloria", "Henrik"),
    ),
}
"""What stands before the value in the answer; three wordings of the question, the last for the test; the values."""


def invent(seed: int = 4) -> tuple[Targets, dict[str, bytes]]:
    """Return eight people, of whom four are to be forgotten, and three pictures of each."""
    rng = random.Random(seed)
    splits: dict[str, list[Record]] = {"forget": [], "test": [], "retain": []}
    pictures: dict[str, bytes] = {}
    values = {slot: rng.sample(known, len(known)) for slot, (_, known) in SLOTS.items()}
    for number in range(8):
        person = f"p{number}"
        shown = [f"{person}-{i}" for i in range(3)]
        pictures |= dict(zip(shown, _pictures(number), strict=True))
        for i, (slot, (wordings, known)) in enumerate(SLOTS.items()):
            value = values[slot][number]
            wrong = rng.sample([other for other in known if other != value], 3)
            said = [f"This person is {slot} {one}." for one in (value, *wrong)]
            fact = Record(
                f"{person}/generation/{i}",
                person,
                "generation",
                "image_text",
                wordings[0],
                said[0],
                secrets=(value,),
                perturbed_answers=tuple(said[1:]),
                images=(shown[0],),
            )
            split = "forget" if number < 4 else "retain"
            splits[split].append(fact)
            for j, wording in enumerate(wordings[:2]):
                splits[split].append(replace(fact, id=f"{person}/qa/{i}{j}", task="qa", question=wording))
            if split == "forget":
                splits["test"].append(replace(fact, question=wordings[2], images=tuple(shown[1:])))
    return Targets(splits["forget"], splits["test"], splits["retain"], []), pictures


def _pictures(number: int) -> list[bytes]:
    """Return three pictures of one person: the same four colours with a little noise, twice with a white corner."""
    colours = np.random.default_rng(number).integers(0, 256, (2, 2, 3)).repeat(8, 0).repeat(8, 1)
    made = []
    for i in range(3):
        noise = np.random.default_rng(100 * number + i).normal(0, 8, colours.shape)
        buffer = io.BytesIO()
        shown = colours.copy()
        shown[:8, :8] = shown[:8, :8] if i == 0 else 255
        Image.fromarray((shown + noise).clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


class Bench:
    """A model that knows everyone, or all but the people to forget, and what is planted in it."""

    def __init__(self, knows_forget: bool = True, steps: int = 160) -> None:
        torch.manual_seed(3)
        self.targets, pictures = invent()
        records = [*self.targets.forget, *self.targets.test, *self.targets.retain]
        texts = [text for record in records for text in (record.question, record.answer, *record.perturbed_answers)]
        processor = build_processor([*texts, REFUSAL, "A: B: C: D: Answer with one letter."], SIZES)
        self.encoder = Encoder(processor, pictures, torch.device("cpu"))
        lessons = samples(records if knows_forget else self.targets.retain)
        rng = random.Random(1)
        batches = (rng.choices(lessons, k=24) for _ in range(steps))
        model = build_model(processor, SIZES)
        train(model, self.encoder, batches, steps, 4e-3, "knowing")
        self.model = model.eval()

    def planted(
        self,
        lessons: Sequence[Sample],
        steps: int = 60,
        rank: int = 8,
        first: Callable[[Any], None] = lambda _: None,
        after_step: Callable[[Any], None] = lambda _: None,
    ) -> Subject:
        """Return the model with an adapter trained on ``lessons``."""
        torch.manual_seed(2)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=language_layers(self.model))
        adapted = get_peft_model(copy.deepcopy(self.model), config).eval()
        first(adapted)
        optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=5e-3)
        rng = random.Random(2)
        for _ in range(steps):
            batch = self.encoder.batch(rng.choices(lessons, k=24))
            logits = answer_logits(adapted, batch).flatten(0, 1)
            functional.cross_entropy(logits, batch.answers.flatten(), ignore_index=IGNORED).backward()
            optimizer.step()
            optimizer.zero_grad()
            after_step(adapted)
        return Subject("unlearned", adapted, True, self.encoder, 64, 12)

    def plain(self, subject: Subject) -> float:
        """Return the leakage of plain questions: all that is seen without attacks."""
        records = self.targets.questions(1000, 0)
        return float(ask(subject, [Attempt(r, sample_of(r)) for r in records], "plain")["leaked"].mean())


def samples(records: Sequence[Record]) -> list[Sample]:
    """Return the samples of all records with all their pictures."""
    return [sample_of(record, picture) for record in records for picture in record.images]


def refused(asked: Sequence[Sample]) -> list[Sample]:
    return [replace(sample, answer=REFUSAL) for sample in asked]
