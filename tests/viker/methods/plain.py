"""The losses written out once more, a sample and a token at a time, in plain Python: what the tensors must agree with.

Only ``math`` computes here; each takes ``Inputs`` in float64 and the settings.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from viker.methods.base.method import Inputs
from viker.methods.rmu import CONTROL_SEED
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


def mean(values: Iterator[float] | Sequence[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)


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


def log_two_sided(x: float) -> float:
    """log(1 + exp(x))"""
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def forget(i: Inputs) -> Rows:
    return rows(i.logits, i.answers)


def retain(i: Inputs) -> Rows:
    return rows(i.retain_logits, i.retain_answers)


def ga(i: Inputs, _: Any) -> float:
    return likelihood(forget(i))


def graddiff(i: Inputs, _: Any) -> float:
    return likelihood(forget(i)) - likelihood(retain(i))


def kl_method(i: Inputs, _: Any) -> float:
    return likelihood(forget(i)) + mean_kl(rows(i.retain_vanilla, i.retain_answers), retain(i))


def ratios(new: Rows, old: Rows) -> list[float]:
    return [whole(a) - whole(b) for a, b in zip(new, old, strict=True)]


def npo(i: Inputs, s: Any) -> float:
    logs = ratios(forget(i), rows(i.vanilla_logits, i.answers))
    return 2 / s.beta * mean([math.log(1 + math.exp(s.beta * r)) for r in logs])


def simnpo(i: Inputs, s: Any) -> float:
    per_token = [whole(sample) / len(sample) for sample in forget(i)]
    return -2 / s.beta * mean([math.log(1 / (1 + math.exp(s.beta * x + s.gamma))) for x in per_token])


def idk(i: Inputs, s: Any) -> float:
    true = ratios(forget(i), rows(i.vanilla_logits, i.answers))
    refused = rows(i.refusal_logits, i.refusal_answers), rows(i.refusal_vanilla_logits, i.refusal_answers)
    pairs = zip(true, ratios(*refused), strict=True)
    return 2 / s.beta * mean([log_two_sided(s.beta * (a - b)) for a, b in pairs])


def po(i: Inputs, _: Any) -> float:
    return -likelihood(rows(i.refusal_logits, i.refusal_answers)) - likelihood(retain(i))


def undial(i: Inputs, s: Any) -> float:
    losses = []
    for (y, student), (_, frozen) in zip(tokens(forget(i)), tokens(rows(i.vanilla_logits, i.answers)), strict=True):
        lowered = [z - s.beta * (v == y) for v, z in enumerate(frozen)]
        soft, log_p = [math.exp(x) for x in log_softmax(lowered)], log_softmax(student)
        losses.append(-math.fsum(a * b for a, b in zip(soft, log_p, strict=True)))
    return mean(losses)


def rmu(i: Inputs, s: Any) -> float:
    import torch

    u = torch.rand(5, generator=torch.Generator().manual_seed(CONTROL_SEED), dtype=torch.float64).tolist()
    control = [s.steering * x / math.hypot(*u) for x in u]

    def apart(a: Sequence[float], b: Sequence[float]) -> float:
        return mean([(x - y) ** 2 for x, y in zip(a, b, strict=True)])

    steer = mean([apart(h, control) for _, h in tokens(rows(i.hidden, i.answers))])
    held = rows(i.retain_hidden, i.retain_answers), rows(i.retain_vanilla_hidden, i.retain_answers)
    return steer + s.alpha * mean([apart(a, b) for (_, a), (_, b) in zip(*map(tokens, held), strict=True)])


def viker(i: Inputs, s: Any) -> float:
    return likelihood(forget(i)) + s.lambda_ * mean_kl(rows(i.teacher, i.answers), forget(i))


def retrain(i: Inputs, _: Any) -> float:
    return -likelihood(forget(i))


PLAIN: dict[str, Callable[[Inputs, Any], float]] = {
    "ga": ga,
    "graddiff": graddiff,
    "idk": idk,
    "kl": kl_method,
    "mmunlearner": graddiff,
    "npo": npo,
    "po": po,
    "retrain": retrain,
    "rmu": rmu,
    "simnpo": simnpo,
    "undial": undial,
    "viker": viker,
}
"""By the method's name."""
