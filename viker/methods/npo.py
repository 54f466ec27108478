"""NPO: negative preference optimisation; gradient ascent that slows down where an answer is already unlikely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.core.settings import Rate
from viker.methods.base.method import FORGET, RATIO, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class NPO(MethodSettings):
    """Negative preference optimisation."""

    name: Literal["npo"] = "npo"
    beta: Rate = 0.1
    """Inverse temperature; 0.1 in the paper. Near 0 it is gradient ascent on whole answers."""


def npo_loss(logits: Tensor, answers: Tensor, vanilla_logits: Tensor, beta: float) -> dict[str, Tensor]:
    """Return ``loss`` = 2 / beta * mean_i log(1 + (p(y_i) / p_0(y_i)) ** beta), a mean over samples; at least 0.

    p_0 is the frozen model. ``ratio`` is mean_i log(p(y_i) / p_0(y_i)): 0 at the start, negative once unlearnt; ``ga``
    is mean_t log p(y_t), as for the other methods.
    As beta goes to 0, the gradient becomes that of gradient ascent on whole answers.

    Shapes: ``Inputs``. Source: Zhang et al., "Negative Preference Optimization", arXiv 2404.05868, equation 3.
    """
    from torch.nn.functional import softplus

    from viker.core.distributed import token_mean
    from viker.methods.base.tokens import chosen, log_likelihoods, log_probabilities, whole_answers

    true = chosen(log_probabilities(logits, answers), answers)
    ratio = whole_answers(true, answers) - log_likelihoods(vanilla_logits, answers).detach()
    loss = 2 / beta * softplus(beta * ratio).mean()
    return {"loss": loss, "ga": token_mean(true), "ratio": ratio.mean()}


METHOD = Method(
    NPO,
    npo_loss,
    (*FORGET, "vanilla_logits"),
    options=("beta",),
    source='Zhang et al., "Negative Preference Optimization", arXiv 2404.05868, equation 3',
    parts={"ratio": RATIO},
    heading="NPO",
)
