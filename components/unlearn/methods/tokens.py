"""What the losses share: log-likelihoods, divergences and means over the answer tokens of a batch."""

import torch
from torch import Tensor

from components.common.chat import IGNORED


def mean_log_likelihood(logits: Tensor, answers: Tensor) -> Tensor:
    """Return mean_t log p(y_t) over the answer tokens, nats, at most 0.

    Args:
        logits: [B, N, V].
        answers: [B, N], ``IGNORED`` where there is no answer token.
    """
    mask = answers != IGNORED
    chosen = logits.log_softmax(-1).gather(-1, answers.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return chosen[mask].mean()


def log_likelihoods(logits: Tensor, answers: Tensor) -> Tensor:
    """Return log p(y) of each whole answer [B]: the sum over its tokens, nats, at most 0.

    Args:
        logits: [B, N, V].
        answers: [B, N], ``IGNORED`` where there is no answer token.
    """
    chosen = logits.log_softmax(-1).gather(-1, answers.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return chosen.where(answers != IGNORED, 0.0).sum(-1)


def mean_kl(probabilities: Tensor, logits: Tensor, answers: Tensor) -> Tensor:
    """Return mean_t KL(p_t || softmax(logits_t)) over the answer tokens, nats, at least 0.

    Args:
        probabilities: p, [B, N, V], no gradient flows into it.
        logits: [B, N, V].
        answers: [B, N], ``IGNORED`` where there is no answer token.
    """
    mask = answers != IGNORED
    p = probabilities[mask].detach()
    return (torch.xlogy(p, p) - p * logits[mask].log_softmax(-1)).sum(-1).mean()


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of each distribution [..., V] -> [...], nats, between 0 and log V."""
    return -torch.xlogy(probabilities, probabilities).sum(-1)
