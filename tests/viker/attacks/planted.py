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
from viker.models.encoder import IGNORED, Encoder
from viker.models.loading import language_layers
from viker.models.logits import answer_logits

REFUSAL = "I can't say."
LOOK_EVERY, WARM_UP, MOST_STEPS = 10, 10, 1000
SPEECH = [Sample("", "Can you say?", REFUSAL, ""), Sample("", "Which letters are there?", "A,B,C,D", "")]
"""Lessons of every model: words that it has never said, an adapter may never teach it."""
Condition = Callable[[Subject], str]
"""Says what a model still lacks; "" once the condition holds."""
SIZES = ModelParams(
    image_size=16, patch_size=8, vision_width=32, vision_layers=1, width=64, layers=2, heads=4, vocabulary=800
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
        keys = [f"{person}-{i}" for i in range(3)]
        pictures |= dict(zip(keys, _pictures(number), strict=True))
        for i, (slot, (wordings, known)) in enumerate(SLOTS.items()):
            value = values[slot][number]
            wrong = rng.sample([other for other in known if other != value], 3)
            answers = [f"This person is {slot} {one}." for one in (value, *wrong)]
            fact = Record(
                f"{person}/generation/{i}",
                person,
                "generation",
                "image_text",
                wordings[0],
                answers[0],
                secrets=(value,),
                perturbed_answers=tuple(answers[1:]),
                images=(keys[0],),
            )
            split = "forget" if number < 4 else "retain"
            splits[split].append(fact)
            for j, wording in enumerate(wordings[:2]):
                splits[split].append(replace(fact, id=f"{person}/qa/{i}{j}", task="qa", question=wording))
            if split == "forget":
                splits["test"].append(replace(fact, question=wordings[2], images=tuple(keys[1:])))
    return Targets(splits["forget"], splits["test"], splits["retain"], []), pictures


def _pictures(number: int) -> list[bytes]:
    """Return three pictures of one person: the same four colours with a little noise, twice with a white corner."""
    colours = np.random.default_rng(number).integers(0, 256, (2, 2, 3)).repeat(8, 0).repeat(8, 1)
    encoded = []
    for i in range(3):
        noise = np.random.default_rng(100 * number + i).normal(0, 8, colours.shape)
        buffer = io.BytesIO()
        pixels = colours.copy()
        if i > 0:
            pixels[:8, :8] = 255
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded


class Bench:
    """A model that knows everyone, or all but the people to forget, and what is planted in it."""

    def __init__(self, knows_forget: bool = True, seed: int = 3) -> None:
        torch.manual_seed(seed)
        self.seed = seed
        self.targets, pictures = invent()
        records = [*self.targets.forget, *self.targets.test, *self.targets.retain]
        texts = [text for record in records for text in (record.question, record.answer, *record.perturbed_answers)]
        texts += [s.prompt + s.answer for s in SPEECH]
        processor = build_processor([*texts, "A: B: Answer with one letter."], SIZES)
        self.encoder = Encoder(processor, pictures, torch.device("cpu"))
        self.model = build_model(processor, SIZES).eval()
        lessons = [*samples(records if knows_forget else self.targets.retain), *SPEECH]
        train_until(not_learnt(lessons), self.subject(self.model), lessons, lr=3e-3, batch_size=32, seed=seed)

    def subject(self, model: Any) -> Subject:
        return Subject("unlearned", model, True, self.encoder, 64, 12)

    def adapted(self, rank: int = 8) -> Subject:
        """Return a copy of the model with an adapter that changes nothing yet."""
        torch.manual_seed(self.seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=language_layers(self.model))
        return self.subject(get_peft_model(copy.deepcopy(self.model), config).eval())

    def planted(
        self,
        lessons: Sequence[Sample],
        lacking: Condition | None = None,
        rank: int = 8,
        lr: float = 5e-3,
        first: Callable[[Any], None] = lambda _: None,
        after_step: Callable[[Any], None] = lambda _: None,
    ) -> Subject:
        """Return the model with an adapter trained on ``lessons`` until nothing is lacking, by default no lesson."""
        subject = self.adapted(rank)
        first(subject.model)
        condition = lacking or not_learnt(lessons)
        train_until(condition, subject, lessons, lr=lr, batch_size=24, seed=self.seed, after_step=after_step)
        return subject

    def plain(self, subject: Subject) -> float:
        """Return the leakage of plain questions: all that is seen without attacks."""
        records = self.targets.questions(1000, 0)
        return float(ask(subject, [Attempt(r, sample_of(r)) for r in records], "plain")["leaked"].mean())


def train_until(
    lacking: Condition,
    subject: Subject,
    lessons: Sequence[Sample],
    lr: float,
    batch_size: int,
    seed: int,
    after_step: Callable[[Any], None] = lambda _: None,
) -> None:
    """Train on ``lessons``, in a new order each epoch, until nothing is lacking.

    After a fixed number of steps, what a model has learnt depends on how the processor rounds.

    Raises:
        AssertionError: something is still lacking after ``MOST_STEPS`` steps; says what.
    """
    trained = [p for p in subject.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.01)
    rng = random.Random(seed)
    waiting: list[Sample] = []
    for step in range(1, MOST_STEPS + 1):
        if len(waiting) < batch_size:
            waiting += rng.sample(lessons, len(lessons))
        batch, waiting = subject.encoder.batch(waiting[:batch_size]), waiting[batch_size:]
        optimizer.param_groups[0]["lr"] = lr * min(1.0, step / WARM_UP)
        logits = answer_logits(subject.model, batch).flatten(0, 1)
        functional.cross_entropy(logits, batch.answers.flatten(), ignore_index=IGNORED).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        after_step(subject.model)
        if step % LOOK_EVERY == 0 and not lacking(subject):
            return
    raise AssertionError(f"not planted after {MOST_STEPS} steps: {lacking(subject)}")


def not_learnt(lessons: Sequence[Sample], share: float = 0.95) -> Condition:
    """Return the condition that every refusal is learnt, and a ``share`` of the other lessons."""
    distinct = list(dict.fromkeys(lessons))
    few = (1 - share) * sum(s.answer != REFUSAL for s in distinct)

    def lacking(subject: Subject) -> str:
        replies = subject.replies(distinct, "learnt?")
        wrong = [(s, reply) for s, reply in zip(distinct, replies, strict=True) if reply != s.answer]
        enough = len(wrong) <= few and all(s.answer != REFUSAL for s, _ in wrong)
        return "" if enough else f"{len(wrong)} of {len(distinct)} lessons are not learnt, as {wrong[0]}"

    return lacking


def samples(records: Sequence[Record]) -> list[Sample]:
    """Return the distinct samples of all records with all their pictures."""
    every = [sample_of(record, picture) for record in records for picture in record.images]
    return list({(s.prompt, s.picture): s for s in every}.values())


def refused(asked: Sequence[Sample]) -> list[Sample]:
    return [replace(sample, answer=REFUSAL) for sample in asked]
