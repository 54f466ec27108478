"""GA: gradient ascent on the negative log-likelihood of the forget answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.methods.base.method import FORGET, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class GA(MethodSettings):
    """Gradient ascent; no settings of its own."""

    name: Literal["ga"] = "ga"


def ga_loss(logits: Tensor, answers: Tensor) -> dict[str, Tensor]:
    """Return ``loss`` = ``ga`` = mean_t log p(y_t | I, x, y_<t), which falls as the answers are unlearnt.

    Shapes: ``Inputs``. Source: Cai et al., arXiv 2601.22020, the first term of its loss.
    """
    from viker.methods.base.tokens import mean_log_likelihood

    ga = mean_log_likelihood(logits, answers)
    return {"loss": ga, "ga": ga}


METHOD = Method(GA, ga_loss, FORGET, source="Cai et al., arXiv 2601.22020, the first term of its loss", heading="GA")
