"""Divergence guard: raises on a NaN, infinite or exploding loss or gradient, before the step is taken."""

import math
from collections.abc import Iterable, Sequence

from accelerate.utils import gather_object

from viker.core.errors import UserError
from viker.data.samples import Sample

LIMIT = 1e6
"""A loss (nats) or a gradient's norm at or above this has exploded: an answer at log p = -100 is long forgotten."""


class Diverged(UserError):
    """The step's loss or gradient is NaN, infinite or exploded; the weights are those before the step."""


def check(what: str, value: float, step: int, batches: Iterable[Sequence[Sample]]) -> None:
    """Check a step's loss or gradient norm.

    ``value`` is in nats, or a norm, and the same in all processes; ``step`` counts from 1; ``batches`` are this
    process's.

    Raises Diverged: it is NaN, infinite, or its size is at least ``LIMIT``.
    """
    if math.isfinite(value) and abs(value) < LIMIT:
        return
    names = dict.fromkeys(gather_object([sample.record_id for batch in batches for sample in batch]))
    raise Diverged(
        f"unlearning stopped at step {step}: its {what} is {value:g}. The step's samples: {', '.join(names)}. "
        "Lower unlearn.lr or unlearn.epochs, set unlearn.max_grad_norm or unlearn.warmup, or raise "
        "unlearn.method.lambda or unlearn.method.retain.weight; if it is the first step, look at these samples."
    )
