"""Soft prompt: embeddings before the question, optimised on some people's answers, open up what is known of others.

Source: Schwinn et al., "Soft Prompt Threats: Attacking Safety Alignment and Unlearning in Open-Source LLMs through the
Embedding Space", 2024, arXiv 2402.09063.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from viker.attacks.base.attack import Attack
from viker.attacks.base.held_out import NEEDS, HeldOutSettings, asked, batches, control_block, cross_attacked
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.core.settings import Positive, Rate
from viker.data.samples import Sample, sample_of

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from viker.attacks.base.subject import Subject
    from viker.attacks.base.targets import Targets
    from viker.data.records import Record

NAME = "soft_prompt"


class SoftPromptSettings(HeldOutSettings):
    """Settings of the attack soft_prompt."""

    signs: Positive = 8
    """Asterisks before the question; the embedding of each of their tokens is optimised."""
    lr: Rate = 0.1
    """Learning rate of Adam, as a share of the root mean square of the signs' own embeddings."""


def run(subject: Subject, targets: Targets, settings: SoftPromptSettings, seed: int) -> Outcome:
    """Optimise the embeddings of ``settings.signs`` signs before the question on half of the people, ask of the others.

    What is minimised is the cross-entropy of the true answers. Then the other way round, so that everybody is asked.
    """

    def learn(lessons: Sequence[Record], held_out: Sequence[Record]) -> pd.DataFrame:
        samples = [with_signs(sample_of(record), settings.signs) for record in lessons]
        with soft_tokens(subject, samples[0], settings.signs) as soft:
            optimise(subject, samples, soft, settings, seed)
            attempts = [Attempt(record, with_signs(sample_of(record), settings.signs)) for record in held_out]
            return ask(subject, attempts, "soft prompt")

    return cross_attacked(targets, settings, seed, NAME, learn)


@contextmanager
def soft_tokens(subject: Subject, sample: Sample, signs: int) -> Iterator[Tensor]:
    """Yield embeddings [k, width] that the model reads in place of the k tokens of the signs, at first these tokens'.

    ``sample``: any that begins with the signs; in all others they have the same tokens.
    """
    import torch

    places = subject.encoder.question_places(sample)
    ids, _ = subject.encoder.encode(sample)
    inside = [start >= 0 and stop <= 2 * signs - 1 for start, stop in places]  # "* * *", without the space behind
    pattern = torch.tensor([i for i, signs_own in zip(ids[-len(places) :], inside, strict=True) if signs_own])
    pattern = pattern.to(subject.encoder.device)
    embeddings = subject.model.get_input_embeddings()
    soft = embeddings(pattern).detach().float().clone().requires_grad_()  # in float16, Adam's squares would vanish

    def put(_: Any, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
        if args[0].ndim < 2 or args[0].shape[1] < len(pattern):
            return out
        found = (args[0].unfold(1, len(pattern), 1) == pattern).all(-1).nonzero()
        first = dict(reversed(found.tolist()))
        changed = out.clone()
        for row, start in first.items():
            changed[row, start : start + len(pattern)] = soft.to(out.dtype)
        return changed

    hook = embeddings.register_forward_hook(put)
    try:
        yield soft
    finally:
        hook.remove()


def optimise(subject: Subject, lessons: list[Sample], soft: Tensor, settings: SoftPromptSettings, seed: int) -> None:
    """Change ``soft``, see ``soft_tokens``, so that the lessons' true answers become likelier."""
    import torch
    from tqdm import tqdm

    size = float(soft.detach().float().square().mean().sqrt())
    optimizer = torch.optim.Adam([soft], lr=settings.lr * size)
    drawn = batches(lessons, settings.batch_size, settings.iterations, seed)
    with subject.active():
        for batch in tqdm(drawn, total=settings.iterations, desc=f"soft prompt, {subject.name}", unit="step"):
            (soft.grad,) = subject.gradients(batch, [soft])
            optimizer.step()


def with_signs(sample: Sample, signs: int) -> Sample:
    """Return the sample with so many asterisks before its question."""
    return replace(sample, prompt=f"{' '.join('*' * signs)} {sample.prompt}")


SOFT_PROMPT = Attack(
    NAME,
    "Soft prompt",
    run,
    SoftPromptSettings,
    NEEDS,
    side_blocks=(control_block(NAME),),
    expected=asked,
)
