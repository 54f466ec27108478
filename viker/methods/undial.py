"""UNDIAL: self-distillation from the frozen model with the true tokens' logits lowered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.core.settings import Rate
from viker.methods.base.method import FORGET, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class Undial(MethodSettings):
    """Unlearning by self-distillation with adjusted logits."""

    name: Literal["undial"] = "undial"
    beta: Rate = 10.0
    """By how much the frozen model's logit of each true token is lowered; 10 in open-unlearning."""


def undial_loss(logits: Tensor, answers: Tensor, vanilla_logits: Tensor, beta: float) -> dict[str, Tensor]:
    """Return ``loss`` = -mean_t sum_v q_t(v) log p_t(v), with q_t = softmax(z_t - beta * onehot(y_t)); at least 0.

    z are the frozen model's logits: what it would say, were each true token exp(beta) times less likely before
    normalising. ``ga`` is mean_t log p(y_t), as for the other methods.

    Shapes: ``Inputs``. Source: Dong et al., "UNDIAL", arXiv 2402.10052.
    """
    import torch

    from viker.core.distributed import token_mean
    from viker.methods.base.tokens import chosen, cross_entropy, log_probabilities
    from viker.models.encoder import IGNORED

    log_p = log_probabilities(logits, answers)
    rows = vanilla_logits.detach()[answers != IGNORED].to(log_p.dtype)
    true = answers[answers != IGNORED].unsqueeze(-1)
    adjusted = rows.scatter_add(-1, true, torch.full_like(true, -beta, dtype=rows.dtype)).softmax(-1)
    return {"loss": token_mean(cross_entropy(adjusted, log_p)), "ga": token_mean(chosen(log_p, answers))}


METHOD = Method(
    Undial,
    undial_loss,
    (*FORGET, "vanilla_logits"),
    options=("beta",),
    source='Dong et al., "UNDIAL", arXiv 2402.10052',
    heading="UNDIAL",
)
