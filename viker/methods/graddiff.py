"""GradDiff: gradient ascent on the forget answers, descent on the retain answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.methods.base.method import FORGET, RETAIN, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class GradDiff(MethodSettings):
    """Gradient difference; no settings of its own."""

    name: Literal["graddiff"] = "graddiff"


def graddiff_loss(logits: Tensor, answers: Tensor, retain_logits: Tensor, retain_answers: Tensor) -> dict[str, Tensor]:
    """Return ``loss`` = ``ga`` + ``nll``: mean_t log p(y_t) on the forget batch minus the same on the retain batch.

    Shapes: ``Inputs``. Source: Liu et al., "Continual learning and private unlearning", arXiv 2203.12817.
    """
    from viker.methods.base.tokens import mean_log_likelihood

    ga = mean_log_likelihood(logits, answers)
    nll = -mean_log_likelihood(retain_logits, retain_answers)
    return {"loss": ga + nll, "ga": ga, "nll": nll}


METHOD = Method(
    GradDiff,
    graddiff_loss,
    (*FORGET, *RETAIN),
    source='Liu et al., "Continual learning and private unlearning", arXiv 2203.12817',
    parts={"nll": "negative log-likelihood of the true answers about people to retain"},
    heading="GradDiff",
)
