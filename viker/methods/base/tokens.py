"""Log-likelihoods, divergences and means over the answer tokens of a batch, for all losses.

``logits`` and probabilities are [B, N, V], ``answers`` [B, N], ``IGNORED`` where there is no answer token. Only the T
rows that predict an answer token are looked at: [T, V]. ``log_softmax`` is computed once for all parts of a loss, in
float32 where the model computes in less; anything that needs a temporary of the size of the vocabulary goes through it
``CHUNK`` rows at a time.
"""

import torch
from torch import Tensor

from viker.core.distributed import token_mean
from viker.models.encoder import IGNORED
from viker.models.entropy import CHUNK, entropy


def log_probabilities(logits: Tensor, answers: Tensor) -> Tensor:
    """Return log p(. | I, x, y_<t) at the T answer tokens, [T, V], at least float32."""
    rows = logits[answers != IGNORED]
    return rows.log_softmax(-1, dtype=torch.promote_types(rows.dtype, torch.float32))


def chosen(log_p: Tensor, answers: Tensor) -> Tensor:
    """Return log p(y_t) of the answer tokens themselves, [T], from ``log_probabilities``' [T, V]."""
    return log_p.gather(-1, answers[answers != IGNORED].unsqueeze(-1)).squeeze(-1)


def whole_answers(token_values: Tensor, answers: Tensor) -> Tensor:
    """Return the sum over each answer's tokens, [T] -> [B]."""
    return torch.zeros_like(answers, dtype=token_values.dtype).masked_scatter(answers != IGNORED, token_values).sum(-1)


def cross_entropy(p: Tensor, log_q: Tensor) -> Tensor:
    """Return -sum_v p_t(v) log q_t(v) of each row, [T, V] and [T, V] -> [T], nats; no gradient flows into ``p``.

    A token that p gives no probability adds 0, whatever log q is, -inf included; where q gives none to one that p
    gives some, the value is infinite.
    """
    rows = zip(p.detach().split(CHUNK), log_q.split(CHUNK), strict=True)
    return -torch.cat([torch.linalg.vecdot(a.to(b.dtype), b.masked_fill(a == 0, 0)) for a, b in rows])


def divergence(p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p_t || q_t) = ``cross_entropy`` less the entropy of p, [T, V] and [T, V] -> [T], nats, at least 0."""
    crossed = cross_entropy(p, log_q)
    return crossed - entropy(p.detach()).to(crossed.dtype)


def mean_log_likelihood(logits: Tensor, answers: Tensor) -> Tensor:
    """Return mean_t log p(y_t) over the answer tokens, nats, at most 0."""
    return token_mean(chosen(log_probabilities(logits, answers), answers))


def log_likelihoods(logits: Tensor, answers: Tensor) -> Tensor:
    """Return log p(y) of each whole answer [B]: the sum over its tokens, nats, at most 0."""
    return whole_answers(chosen(log_probabilities(logits, answers), answers), answers)


def mean_kl(probabilities: Tensor, logits: Tensor, answers: Tensor) -> Tensor:
    """Return mean_t KL(p_t || softmax(logits_t)) over the answer tokens, nats, at least 0; none of p's gradient."""
    return token_mean(divergence(probabilities[answers != IGNORED], log_probabilities(logits, answers)))
