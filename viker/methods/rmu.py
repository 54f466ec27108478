"""RMU: hidden states of the forget answers pushed towards a random vector, those of the retain answers held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from viker.core.errors import UserError
from viker.core.settings import Rate
from viker.methods.base.method import FORGET, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor

CONTROL_SEED = 0
"""Draws the control vector: the same in every step, process and resumed run."""


class RMU(MethodSettings):
    """Representation misdirection for unlearning."""

    name: Literal["rmu"] = "rmu"
    layer: Annotated[int, Field(ge=0)] | None = None
    """Whose hidden states are pushed, from 0; null: at 7/32 of the depth, the paper's seventh of 32. The adapter acts
    in this layer and those before; the paper trains three of them."""
    steering: Rate = 6.5
    """Length of the control vector, in the unit of the hidden states; 6.5 in the paper for a model of 7B. Models differ
    in the size of their hidden states, so it has to be found for each."""
    alpha: Annotated[float, Field(ge=0)] = 1200.0
    """Weight of holding the retain answers' hidden states; 1200 in the paper."""

    def hidden_layer(self, layers: int) -> int:
        """Return the layer. Raises UserError: the model has fewer."""
        layer = round(layers * 7 / 32) if self.layer is None else self.layer
        if layer >= layers:
            raise UserError(
                f"unlearn.method.layer is {layer}, but the language model has {layers} layers, 0 to {layers - 1}. "
                "Choose one of these, or null."
            )
        return layer


def rmu_loss(
    logits: Tensor,
    answers: Tensor,
    hidden: Tensor,
    retain_answers: Tensor,
    retain_hidden: Tensor,
    retain_vanilla_hidden: Tensor,
    steering: float,
    alpha: float,
) -> dict[str, Tensor]:
    """Return ``loss`` = ``steer`` + alpha * ``drift``, means over answer tokens and the D dimensions; at least 0.

    ``steer`` = mean_t |h_t - steering * u|^2 / D on forget answers, with u a fixed random vector of length 1, uniform
    before normalising; ``drift`` = mean_t |h_t - h0_t|^2 / D on retain answers, with h0 the frozen model's. ``ga`` is
    mean_t log p(y_t), as for the other methods.

    Shapes: ``Inputs``. Source: Li et al., "The WMDP Benchmark", arXiv 2403.03218.
    """
    import torch

    from viker.core.distributed import token_mean
    from viker.methods.base.tokens import mean_log_likelihood
    from viker.models.encoder import IGNORED

    def squared(states: Tensor, target: Tensor) -> Tensor:
        at_least_float = torch.promote_types(states.dtype, torch.float32)
        return token_mean(((states.to(at_least_float) - target.to(at_least_float)) ** 2).mean(-1))

    direction = torch.rand(hidden.shape[-1], generator=torch.Generator().manual_seed(CONTROL_SEED), dtype=torch.float64)
    control = (steering * direction / direction.norm()).to(hidden.device)
    steer = squared(hidden[answers != IGNORED], control)
    of_retain = retain_answers != IGNORED
    drift = squared(retain_hidden[of_retain], retain_vanilla_hidden.detach()[of_retain])
    ga = mean_log_likelihood(logits, answers).detach()
    return {"loss": steer + alpha * drift, "ga": ga, "steer": steer, "drift": drift}


METHOD = Method(
    RMU,
    rmu_loss,
    (*FORGET, "hidden", "retain_answers", "retain_hidden", "retain_vanilla_hidden"),
    options=("steering", "alpha"),
    source='Li et al., "The WMDP Benchmark", arXiv 2403.03218',
    parts={
        "steer": "squared distance of the forget answers' hidden states from the control vector",
        "drift": "squared distance of the retain answers' hidden states from the vanilla model's",
    },
    heading="RMU",
)
