"""KL: gradient ascent on the forget answers, and the frozen model's distribution on the retain answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.methods.base.method import FORGET, RETAIN, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class KL(MethodSettings):
    """KL minimisation; no settings of its own."""

    name: Literal["kl"] = "kl"


def kl_loss(
    logits: Tensor, answers: Tensor, retain_vanilla: Tensor, retain_logits: Tensor, retain_answers: Tensor
) -> dict[str, Tensor]:
    """Return ``loss`` = ``ga`` + ``kl``: mean_t log p(y_t) on forget, mean_t KL(vanilla || unlearned) on retain.

    Shapes: ``Inputs``. Source: Maini et al., "TOFU", arXiv 2401.06121, KL minimisation.
    """
    from viker.methods.base.tokens import mean_kl, mean_log_likelihood

    ga = mean_log_likelihood(logits, answers)
    kl = mean_kl(retain_vanilla, retain_logits, retain_answers)
    return {"loss": ga + kl, "ga": ga, "kl": kl}


METHOD = Method(
    KL,
    kl_loss,
    (*FORGET, "retain_vanilla", *RETAIN),
    source='Maini et al., "TOFU", arXiv 2401.06121, KL minimisation',
    parts={"kl": "divergence from the vanilla model on people to retain"},
    heading="KL",
)
