"""SimNPO: negative preference optimisation without a reference model, by the likelihood per token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from viker.core.settings import Rate
from viker.methods.base.method import FORGET, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class SimNPO(MethodSettings):
    """Simple negative preference optimisation."""

    name: Literal["simnpo"] = "simnpo"
    beta: Rate = 2.5
    """Inverse temperature."""
    gamma: Annotated[float, Field(ge=0)] = 0.0
    """Reward margin, nats times beta; larger forgets further. open-unlearning's delta is gamma / beta."""


def simnpo_loss(logits: Tensor, answers: Tensor, beta: float, gamma: float) -> dict[str, Tensor]:
    """Return ``loss`` = -2 / beta * mean_i log sigmoid(-beta * mean_t log p(y_it) - gamma), over samples; at least 0.

    ``ga`` is mean_t log p(y_t) over the tokens of the batch, as for the other methods.

    Shapes: ``Inputs``. Source: Fan et al., "Simplicity Prevails", arXiv 2410.07163, equation 4.
    """
    from torch.nn.functional import softplus

    from viker.core.distributed import token_mean
    from viker.methods.base.tokens import chosen, log_probabilities, whole_answers
    from viker.models.encoder import IGNORED

    true = chosen(log_probabilities(logits, answers), answers)
    per_token = whole_answers(true, answers) / (answers != IGNORED).sum(-1)
    return {"loss": 2 / beta * softplus(beta * per_token + gamma).mean(), "ga": token_mean(true)}


METHOD = Method(
    SimNPO,
    simnpo_loss,
    FORGET,
    options=("beta", "gamma"),
    source='Fan et al., "Simplicity Prevails", arXiv 2410.07163, equation 4',
    heading="SimNPO",
)
