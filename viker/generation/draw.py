"""Replies drawn by inverse transform sampling: one uniform number decides each token, whatever else is in its batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import LogitsProcessor

from viker.data.samples import Sample

WHOLE = 2.0**50
"""Probabilities are rounded down to this part of one: sums of integers are the same in any order, on any device."""


@dataclass(frozen=True)
class Draws:
    """How the replies of B rows are drawn.

    ``temperature``: logits are divided by it. ``uniforms``: numbers in [0, 1), float64 [B, T], one for each token.
    """

    temperature: float
    uniforms: Tensor

    def tokens(self, logits: Tensor, step: int) -> Tensor:
        """Return each row's token number ``step`` [B], drawn from the whole distribution of its ``logits`` [B, V].

        Token v is drawn where the uniform number lies between the sums of the probabilities before v and up to it. Of
        logits that are NaN it is token 0, as little of a reply as the likeliest of them.
        """
        probabilities = (logits.float() / self.temperature).softmax(-1).nan_to_num(0.0).double()
        sums = (probabilities * WHOLE).long().cumsum(-1)
        place = (self.uniforms[:, step] * sums[:, -1]).long().clamp(max=sums[:, -1] - 1)
        return torch.searchsorted(sums, place[:, None], right=True)[:, 0]

    def of(self, rows: Tensor) -> "Draws":
        """Return those of some ``rows`` [N]."""
        return replace(self, uniforms=self.uniforms[rows])


@dataclass(frozen=True)
class Drawing:
    """How samples are drawn: ``uniforms`` has the numbers of each, as ``Draws`` does, by the sample's ``id``."""

    temperature: float
    uniforms: Mapping[int, Tensor]

    def of(self, samples: Sequence[Sample], device: torch.device) -> Draws:
        """Return the draws of a batch."""
        return Draws(self.temperature, torch.stack([self.uniforms[id(sample)] for sample in samples]).to(device))


class DrawnTokens(LogitsProcessor):
    """Leaves ``generate`` of transformers, which takes the likeliest token, the drawn one alone."""

    def __init__(self, draws: Draws, prompt: int) -> None:
        """Take how tokens are drawn, and how many tokens come before the first of them."""
        self._draws, self._prompt = draws, prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores [B, V] that are 0 for each row's drawn token and minus infinity for the others."""
        drawn = self._draws.tokens(scores, input_ids.shape[1] - self._prompt)
        return torch.full_like(scores, float("-inf")).scatter(1, drawn[:, None], 0.0)


def likeliest_or_drawn(logits: Tensor, draws: Draws | None, step: int) -> Tensor:
    """Return each row's next token [B]: the likeliest by its ``logits`` [B, V], or the drawn one."""
    return logits.argmax(-1) if draws is None else draws.tokens(logits, step)
