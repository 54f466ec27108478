"""The teacher by its formula and nothing else: what the fast one must equal, and what it is measured against."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits


@torch.no_grad()
def naive_teacher(model: Any, encoder: Encoder, sample: Sample, images: Sequence[str]) -> Tensor:
    """Return the teacher [T, V] of one sample: a whole forward pass, vision tower included, for each image."""
    batches = [encoder.batch([replace(sample, picture=image)]) for image in images]
    return torch.stack([answer_logits(model, batch)[0].softmax(-1) for batch in batches]).mean(0)


@torch.no_grad()
def full_forwards(model: Any, encoder: Encoder, sample: Sample, images: Sequence[str]) -> Tensor:
    """Return the same, from forward passes that compute the logits of every position, as models do unasked."""
    batches = [encoder.batch([replace(sample, picture=image)]) for image in images]
    # the token before an answer's predicts it
    logits = [model(**b.inputs).logits[0, -b.answers.shape[1] - 1 : -1] for b in batches]
    return torch.stack([each.softmax(-1) for each in logits]).mean(0)
