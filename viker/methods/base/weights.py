"""How hard gradient ascent presses each token, by the teacher's entropy: alternatives to ViKeR's regulariser."""

import math

from torch import Tensor

from viker.models.entropy import entropy


def token_weights(teacher: Tensor, weighting: str, mask_threshold: float) -> Tensor:
    """Return a weight for each token, [T, V] -> [T], between 0 and 1.

    'entropy_weight': H(teacher_t) / log V, 1 where the teacher knows nothing (the loss is then gradient ascent's), 0
    where it is certain. 'hard_mask': 1 where H(teacher_t) is above ``mask_threshold`` nats, else 0. A weight depends
    on its token alone, never on the rest of the batch, and the mean runs over all tokens, those of weight 0 included.

    Source: ours; the two simplest readings of "press the key tokens only", to compare arXiv 2601.22020 with.
    """
    nats = entropy(teacher)
    if weighting == "entropy_weight":
        return nats / math.log(teacher.shape[-1])
    return (nats > mask_threshold).to(nats.dtype)
