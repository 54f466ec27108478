"""What the teacher's distributions lead to in place of the knowledge: a likeliest other value, none of them, a refusal.

By themselves they lead to the value that is likeliest without the picture: to a false fact about a real person. ViKeR's
loss even sharpens them: where lambda > 1, its gradient is the same for all other values v at differences of
p(v) - p(u) = lambda / (lambda - 1) (q(v) - q(u)), with q for the teacher and p for the model that is trained.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.teacher.distributions import TeacherDistributions, compact, full
from viker.teacher.kinds.masked import capped

NUCLEUS = 0.95
"""The share of a key token's distribution that its plausible values hold."""


def uncertain(
    encoder: Encoder, samples: Sequence[Sample], teachers: Sequence[TeacherDistributions], marked: Sequence[Tensor]
) -> list[TeacherDistributions]:
    """Return distributions that hold no plausible value of a key token for likelier than another.

    At key tokens, ``marked`` in each sample, bool [T], they are ``spread``, but the true token gets no more than
    before; elsewhere they are the teacher's. [T, V] for each sample. Source: this project.
    """
    targets = []
    for sample, teacher, keys in zip(samples, teachers, marked, strict=True):
        p, true = full(teacher), encoder.answer_ids(sample)
        rows = p.clone()
        rows[keys] = capped(spread(p[keys]), p[keys], true[keys])
        targets.append(compact(rows))
    return targets


def spread(p: Tensor) -> Tensor:
    """Return q(v) = p(N) / |N| for v in N and p(v) for others, where N is the nucleus: the likeliest tokens of p that
    hold ``NUCLEUS`` of it, as few as possible. [N, V] -> [N, V]; each row sums to 1.

    Source: of the nucleus, Holtzman et al., "The Curious Case of Neural Text Degeneration", arXiv 1904.09751.
    """
    values, order = p.sort(stable=True, dim=-1, descending=True)
    inside = values.cumsum(-1) - values < NUCLEUS
    even = (values * inside).sum(-1, keepdim=True) / inside.sum(-1, keepdim=True)
    return torch.empty_like(p).scatter_(-1, order, torch.where(inside, even, values))


def refusing(
    encoder: Encoder, samples: Sequence[Sample], teachers: Sequence[TeacherDistributions], refusals: Sequence[str]
) -> list[TeacherDistributions]:
    """Return distributions by which an answer begins as a refusal does, and a true beginning goes on as the teacher's.

    They are the next-token distributions of a mixture of whole answers, (1 - w) teacher + w refusals, as w goes to 1:
    where some of ``refusals`` begin with y_<t, q_t(v) is the share of these that have v next, at t = 1 of all; behind
    another beginning q_t is the teacher's. How a refusal goes on is learnt from its own tokens, by another term of the
    loss: see ``UnlearnTrainer``. [T, V] for each sample. Source: this project.
    """
    targets = []
    for sample, teacher in zip(samples, teachers, strict=True):
        rows, answer = full(teacher).clone(), encoder.answer_ids(sample).tolist()
        alike = [encoder.answer_ids(replace(sample, answer=refusal)).tolist() for refusal in refusals]
        for t, row in enumerate(rows):
            alike = [ids for ids in alike if ids[:t] == answer[:t] and len(ids) > t]
            if not alike:
                break
            row[:] = torch.bincount(torch.tensor([ids[t] for ids in alike]), minlength=len(row)) / len(alike)
        targets.append(compact(rows))
    return targets
