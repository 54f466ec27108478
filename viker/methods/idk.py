"""IdkPO: a preference for a refusal over the true answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.core.settings import Rate
from viker.methods.base.method import FORGET, RATIO, REFUSAL, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class Idk(MethodSettings):
    """Preference optimisation towards refusals."""

    name: Literal["idk"] = "idk"
    beta: Rate = 0.1
    """Inverse temperature; 0.1 in the papers."""


def idk_loss(
    logits: Tensor,
    answers: Tensor,
    vanilla_logits: Tensor,
    refusal_logits: Tensor,
    refusal_answers: Tensor,
    refusal_vanilla_logits: Tensor,
    beta: float,
) -> dict[str, Tensor]:
    """Return ``loss`` = -2 / beta * mean_i log sigmoid(beta * (refusal_i - ratio_i)), a mean over samples; at least 0.

    ``ratio`` is mean_i log(p(y_i) / p_0(y_i)) of the true answers, ``refusal`` the same of the refusals; p_0 is the
    frozen model; ``ga`` is mean_t log p(y_t), as for the other methods. The factor 2 / beta is NPO's, so that
    the two take the same learning rates.

    Shapes: ``Inputs``. Source: Rafailov et al., "Direct Preference Optimization", arXiv 2305.18290, equation 7; with
    refusals as the preferred answers it is the baseline DPO of Zhang et al., "Negative Preference Optimization", arXiv
    2404.05868. TOFU's preference optimisation is another loss: ``viker.methods.po``.
    """
    from torch.nn.functional import softplus

    from viker.core.distributed import token_mean
    from viker.methods.base.tokens import chosen, log_likelihoods, log_probabilities, whole_answers

    true = chosen(log_probabilities(logits, answers), answers)
    ratio = whole_answers(true, answers) - log_likelihoods(vanilla_logits, answers).detach()
    refusal = log_likelihoods(refusal_logits, refusal_answers)
    refusal = refusal - log_likelihoods(refusal_vanilla_logits, refusal_answers).detach()
    loss = 2 / beta * softplus(beta * (ratio - refusal)).mean()
    return {"loss": loss, "ga": token_mean(true), "ratio": ratio.mean(), "refusal": refusal.mean()}


METHOD = Method(
    Idk,
    idk_loss,
    (*FORGET, "vanilla_logits", *REFUSAL),
    options=("beta",),
    source='Rafailov et al., "Direct Preference Optimization", arXiv 2305.18290, equation 7; for unlearning Zhang et '
    "al., arXiv 2404.05868, the baseline DPO",
    parts={
        "ratio": RATIO,
        "refusal": "log of how much likelier a refusal is than for the vanilla model; 0 at the start",
    },
    heading="IdkPO",
)
