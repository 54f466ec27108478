"""Irrelevant images, but never more likely to tell a known private value than retained people would make it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viker.teacher.kinds import irrelevant, population
from viker.teacher.teacher import Teacher, TeacherInputs

if TYPE_CHECKING:
    from torch import Tensor

    from viker.teacher.distributions import TeacherDistributions
    from viker.teacher.stand_ins import FrozenModel


def teach(frozen: FrozenModel, inputs: TeacherInputs) -> list[TeacherDistributions]:
    """Return ``irrelevant``'s distributions, at the tokens of private values capped by ``population``'s: ``capped``."""
    from viker.teacher.distributions import compact, full
    from viker.teacher.private_places import places_of_values

    taught = []
    pairs = zip(irrelevant.teach(frozen, inputs), population.teach(frozen, inputs), strict=True)
    for sample, values, (p, cap) in zip(inputs.samples, inputs.values, pairs, strict=True):
        places = places_of_values(frozen.encoder, sample, values)
        if places:
            rows, ids = full(p).clone(), frozen.encoder.answer_ids(sample)
            rows[places] = capped(rows[places], full(cap)[places], ids[places])
            p = compact(rows)
        taught.append(p)
    return taught


def capped(p: Tensor, cap: Tensor, true: Tensor) -> Tensor:
    """Return distributions that give the true token the smaller of both probabilities; the rest as in ``p``, rescaled.

    q(y) = min(p(y), cap(y)); q(v) = p(v) (1 - q(y)) / (1 - p(y)) for v != y. Where p leaves nothing to the rest, the
    result is ``cap``.

    ``p``, ``cap``: [N, V], each row sums to 1; ``true``: token ids y [N].
    """
    import torch

    of_true = p.gather(-1, true[:, None])
    limited = torch.minimum(of_true, cap.gather(-1, true[:, None]))
    rest = 1 - of_true
    rescaled = (p * (1 - limited) / rest.clamp(min=1e-12)).scatter(-1, true[:, None], limited)
    return torch.where(rest > 1e-6, rescaled, cap)


TEACHER = Teacher("masked", "irrelevant images, private values capped", "this project", teach)
