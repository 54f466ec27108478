"""The visual teacher: what the frozen model would answer if the picture said nothing about the person."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from components.common.chat import Encoder, Sample, answer_logits


@torch.no_grad()
def teacher_probabilities(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]], batch_size: int
) -> list[torch.Tensor]:
    """Return for each sample the teacher's distributions [T, V] at its T answer tokens, on the CPU.

    p_t = 1/k sum_j p(. | I'_j, x, y_<t) over the k irrelevant images of the sample, with its own question and
    ground-truth prefix; its own picture is not looked at. ``images``: for each sample its k images, keys of the
    encoder's pictures. ``model`` must be the model before unlearning, in evaluation mode.

    Source: Cai et al., arXiv 2601.22020.
    """
    teachers = []
    for start in tqdm(range(0, len(samples), batch_size), desc="teacher", unit="batch"):
        group = samples[start : start + batch_size]
        shown = [
            encoder.batch([replace(sample, picture=picture) for sample, picture in zip(group, pictures, strict=True)])
            for pictures in zip(*images[start : start + batch_size], strict=True)
        ]
        mean = torch.stack([answer_logits(model, batch).softmax(-1) for batch in shown]).mean(0).cpu()
        teachers += [row[mask].clone() for row, mask in zip(mean, shown[0].mask.cpu(), strict=True)]
    return teachers


def pad_teachers(teachers: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    """Stack distributions [T_i, V] to [B, width, V], aligned on the right like the answers; zeros elsewhere."""
    padded = torch.zeros(len(teachers), width, teachers[0].shape[1])
    for row, teacher in enumerate(teachers):
        padded[row, width - len(teacher) :] = teacher
    return padded
