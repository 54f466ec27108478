"""Universal perturbation: faint noise on every picture, optimised on some people, brings out what is known of others.

Sources: Moosavi-Dezfooli et al., "Universal adversarial perturbations", 2017; Madry et al. 2018, arXiv 1706.06083, for
the optimisation; as an attack on unlearned multimodal models: SUA, the Stealthy Unlearning Attack, 2025.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from viker.attacks.base.attack import Attack
from viker.attacks.base.held_out import NEEDS, HeldOutSettings, asked, batches, control_block, cross_attacked
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.attacks.base.targets import NotApplicable, Targets
from viker.core.settings import Positive
from viker.data.samples import Sample, sample_of

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from viker.attacks.base.subject import Subject
    from viker.data.records import Record

NAME = "universal_perturbation"
FIXED_SIZE = "picture that the model takes whole and at one size for all, as this attack needs"


class UniversalPerturbationSettings(HeldOutSettings):
    """Settings of the attack universal_perturbation."""

    epsilon: Positive = 12
    """The most that a pixel's colour changes, of 255."""
    step: Positive = 2
    """How much it changes in one step, of 255."""


@dataclass(frozen=True)
class Frames:
    """Pictures as the model takes them: ``pixels`` [3, H, W] by key, 0..1; ``mean`` and ``deviation`` [3, 1, 1]."""

    pixels: dict[str, Tensor]
    mean: Tensor
    deviation: Tensor

    def tensors(self, keys: Sequence[str], change: Tensor) -> Tensor:
        """Return the model's input [N, 3, H, W] of pictures with ``change`` [3, H, W] added, cut to 0..1."""
        import torch

        changed = (torch.stack([self.pixels[key] for key in keys]) + change).clamp(0, 1)
        return (changed - self.mean) / self.deviation

    def inputs(self, change: Tensor, samples: Sequence[Sample]) -> Tensor:
        """Return ``tensors`` of the samples' pictures."""
        return self.tensors([sample.picture for sample in samples], change)

    def file(self, key: str, change: Tensor) -> bytes:
        """Return a picture with ``change`` as PNG of the model's size, its colours rounded to 255ths."""
        from PIL import Image

        pixels = ((self.pixels[key] + change).clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
        buffer = io.BytesIO()
        Image.fromarray(pixels.cpu().numpy()).save(buffer, "PNG")
        return buffer.getvalue()


def run(subject: Subject, targets: Targets, settings: UniversalPerturbationSettings, seed: int) -> Outcome:
    """Optimise one change of at most ``settings.epsilon`` / 255 for half of the people's pictures, ask of the others.

    Projected gradient descent on the cross-entropy of the true answers. The model is asked with picture files that have
    the change, as anybody could send them. Then the other way round, so that everybody is asked.
    """
    frames = frames_of(subject, asked(targets, settings, seed))

    def learn(lessons: Sequence[Record], held_out: Sequence[Record]) -> pd.DataFrame:
        change = optimised(subject, frames, list(map(sample_of, lessons)), settings, seed)
        pictures = {f"{name}/perturbed": frames.file(name, change) for name in {r.images[0] for r in held_out}}
        attempts = [Attempt(record, sample_of(record, f"{record.images[0]}/perturbed")) for record in held_out]
        return ask(subject.with_pictures(pictures), attempts, "universal perturbation")

    return cross_attacked(targets, settings, seed, NAME, learn)


def frames_of(subject: Subject, records: Sequence[Record]) -> Frames:
    """Return the first pictures of ``records`` as the model takes them.

    Raises NotApplicable: the processor cuts pictures into parts, gives them sizes of their own, or does more than to
    scale and to normalise, so that a picture of the model's size is not taken as it is.
    """
    import torch

    images = subject.encoder.processor.image_processor
    mean, deviation = (
        torch.tensor(getattr(images, name, None) or default, device=subject.encoder.device)[:, None, None]
        for name, default in (("image_mean", [0.0] * 3), ("image_std", [1.0] * 3))
    )
    inputs = {r.images[0]: subject.encoder.picture(r.images[0]).tensors.get("pixel_values") for r in records}
    shapes = {None if values is None else tuple(values.shape) for values in inputs.values()}
    if len(shapes) > 1 or any(shape is None or len(shape) != 4 or shape[:2] != (1, 3) for shape in shapes):
        raise NotApplicable(FIXED_SIZE)
    pixels = {key: values[0].to(mean.device) * deviation + mean for key, values in inputs.items() if values is not None}
    frames = Frames({key: values.clamp(0, 1) for key, values in pixels.items()}, mean, deviation)
    key, values = next(iter(frames.pixels.items()))
    again = subject.with_pictures({key: frames.file(key, torch.zeros_like(values))}).encoder.picture(key).tensors
    taken = again["pixel_values"].to(mean.device)
    if taken.shape[2:] != values.shape[1:] or bool((taken[0] * deviation + mean - values).abs().max() > 1 / 255):
        raise NotApplicable(FIXED_SIZE)
    return frames


def optimised(
    subject: Subject, frames: Frames, lessons: list[Sample], settings: UniversalPerturbationSettings, seed: int
) -> Tensor:
    """Return the change [3, H, W] of at most epsilon / 255 under which the lessons' answers are likeliest."""
    import torch
    from tqdm import tqdm

    most, step = settings.epsilon / 255, settings.step / 255
    change = torch.zeros_like(next(iter(frames.pixels.values())))
    drawn = batches(lessons, settings.batch_size, settings.iterations, seed)
    with subject.active():
        for batch in tqdm(drawn, total=settings.iterations, desc=f"perturbation, {subject.name}", unit="step"):
            change.requires_grad_()
            (gradient,) = subject.gradients(batch, [change], partial(frames.inputs, change))
            change = (change.detach() - step * gradient.sign()).clamp(-most, most)
    return change


UNIVERSAL_PERTURBATION = Attack(
    NAME,
    "Universal perturbation",
    run,
    UniversalPerturbationSettings,
    NEEDS,
    side_blocks=(control_block(NAME),),
    expected=asked,
)
