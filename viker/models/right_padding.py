"""Batches for training that need no attention mask: padded on the right, where causal attention never looks.

Without a mask torch takes its flash attention, which a mask rules out.
"""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.fast_path import FastPath, NoFastPath
from viker.models.logits import answer_logits
from viker.models.shared_prefix import need_window

NO_MASK = FastPath("batches without a mask", "attention is computed with one", "training", 1e-4, 5e-2)


@torch.no_grad()
def without_mask(model: Any, encoder: Encoder, samples: Sequence[Sample]) -> Encoder:
    """Return an encoder that pads on the right, or ``encoder`` where ``model`` needs a mask.

    The shortest and the longest of ``samples`` are computed both ways to verify that they agree.
    """
    ends = shortest_and_longest(encoder, samples)

    def pad_right() -> Encoder:
        if "position_ids" not in encoder.batch(ends).inputs:
            raise NoFastPath("this model finds its positions by the mask, or looks ahead in the prompt")
        need_window(model, len(encoder.encode(ends[1])[0]))
        padding = copy.copy(encoder)
        padding.right_padded = True
        unmasked = partial(_logits, model, padding, ends)
        NO_MASK.verify(model, unmasked(), partial(_logits, model, encoder, ends), unmasked)
        return padding

    return NO_MASK.take(model, pad_right, lambda: encoder)


def shortest_and_longest(encoder: Encoder, samples: Sequence[Sample]) -> list[Sample]:
    """Return the two samples of the fewest and of the most tokens, on which ways to compute are compared."""
    ordered = sorted(samples, key=lambda sample: len(encoder.encode(sample)[0]))
    return [ordered[0], ordered[-1]]


def _logits(model: Any, encoder: Encoder, samples: Sequence[Sample]) -> Tensor:
    """Return the logits of the answers' tokens [T, V], sample after sample."""
    batch = encoder.batch(samples)
    return answer_logits(model, batch)[batch.mask]
