"""The entropy of distributions over the vocabulary."""

import torch
from torch import Tensor

CHUNK = 128
"""Rows of the vocabulary's size that a divergence or an entropy handles at a time."""


@torch.no_grad()
def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of each distribution [..., V] -> [...], nats, between 0 and log V, at least float32."""
    dtype = torch.promote_types(probabilities.dtype, torch.float32)
    rows = probabilities.reshape(-1, probabilities.shape[-1]).split(CHUNK)
    parts = [-torch.xlogy(p, p).sum(-1) for p in (row.to(dtype) for row in rows)]
    return torch.cat(parts).reshape(probabilities.shape[:-1])
