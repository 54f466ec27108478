"""The tensors of one step that a method's loss may take; only those that the method needs are filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Inputs:
    """Tensors of one step. B forget samples of at most N answer tokens, R retain samples of at most M, V tokens.

    ``logits`` [B, N, V] and ``answers`` [B, N] of the forget batch. ``teacher`` [B, N, V]: probabilities.
    ``vanilla_logits`` [B, N, V]: the frozen model's. ``retain_logits``, ``retain_answers``, ``retain_vanilla``
    (probabilities): the same of the retain batch, [R, M, V] and [R, M]. ``refusal_logits``, ``refusal_answers``,
    ``refusal_vanilla_logits``: the forget questions answered with a refusal. Answers are token ids, ``IGNORED`` where
    there is no answer token; nothing of the frozen model carries a gradient.
    """

    logits: Tensor
    answers: Tensor
    teacher: Tensor | None = None
    vanilla_logits: Tensor | None = None
    retain_logits: Tensor | None = None
    retain_answers: Tensor | None = None
    retain_vanilla: Tensor | None = None
    refusal_logits: Tensor | None = None
    refusal_answers: Tensor | None = None
    refusal_vanilla_logits: Tensor | None = None
