"""What the losses are written out with once more, a token at a time, in plain Python: ``math`` alone computes.

Each method's test has a function ``written_out`` of ``Inputs`` in float64 and the settings, which the common suite
compares the loss with.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from viker.methods.base.method import Inputs
from viker.models.encoder import IGNORED

Rows = list[list[tuple[int, list[float]]]]
"""For each sample its answer tokens, each with a row of numbers: logits, probabilities or hidden states."""


def rows(values: Tensor | None, answers: Tensor | None) -> Rows:
    assert values is not None and answers is not None
    pairs = zip(answers.tolist(), values.detach().tolist(), strict=True)
    return [[(y, row) for y, row in zip(*pair, strict=True) if y != IGNORED] for pair in pairs]


def log_softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    total = top + math.log(math.fsum(math.exp(z - top) for z in logits))
    return [z - total for z in logits]


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def tokens(batch: Rows) -> list[tuple[int, list[float]]]:
    return [token for sample in batch for token in sample]


def likelihood(batch: Rows) -> float:
    """mean_t log p(y_t) over all answer tokens of the batch."""
    return mean([log_softmax(z)[y] for y, z in tokens(batch)])


def whole(sample: Sequence[tuple[int, list[float]]]) -> float:
    return math.fsum(log_softmax(z)[y] for y, z in sample)


def kl(p: Sequence[float], logits: Sequence[float]) -> float:
    log_q = log_softmax(logits)
    return math.fsum(a * (math.log(a) - b) for a, b in zip(p, log_q, strict=True) if a > 0)


def mean_kl(teacher: Rows, student: Rows) -> float:
    return mean([kl(p, z) for (_, p), (_, z) in zip(tokens(teacher), tokens(student), strict=True)])


def ratios(new: Rows, old: Rows) -> list[float]:
    """log(p(y_i) / p_0(y_i)) of each whole answer."""
    return [whole(a) - whole(b) for a, b in zip(new, old, strict=True)]


def forget(inputs: Inputs) -> Rows:
    return rows(inputs.logits, inputs.answers)


def retain(inputs: Inputs) -> Rows:
    return rows(inputs.retain_logits, inputs.retain_answers)
