"""MMUnlearner: gradient ascent on the weights that matter more to forget than to retain, descent on retain on all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.core.settings import Rate
from viker.methods.base.method import FORGET, RETAIN, Method, MethodSettings
from viker.methods.graddiff import graddiff_loss

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-15
"""Added to both squared gradients, so that a weight that neither moves yet is free."""


class MMUnlearner(MethodSettings):
    """Selective updates by weight saliency."""

    name: Literal["mmunlearner"] = "mmunlearner"
    threshold: Rate = 1.0
    """A weight forgets where its saliency is at least this; 1 in the authors' code."""


def mmunlearner_loss(
    logits: Tensor, answers: Tensor, retain_logits: Tensor, retain_answers: Tensor
) -> dict[str, Tensor]:
    """Return ``loss`` = ``ga`` + ``nll``, as GradDiff; the gradient of ``ga`` reaches the ``salient`` weights alone.

    The authors take a step on forget, masked, and one on retain in turn; here both are one step. They mask the model's
    own weights, here it is the adapter's; and they count text about the people to forget among what is retained, which
    a request to forget them rules out.

    Shapes: ``Inputs``. Source: Huo et al., "MMUnlearner", arXiv 2502.11051.
    """
    return graddiff_loss(logits, answers, retain_logits, retain_answers)


def salient(of_forget: Tensor, of_retain: Tensor, settings: MMUnlearner) -> Tensor:
    """Return where (of_forget + 1e-15) / (of_retain + 1e-15) >= threshold, bools of the weights' shape.

    Both are mean squared gradients, the diagonal of the empirical Fisher information. A fresh adapter's matrices A have
    none yet and stay free; which of the model's weights change is up to B. Source: Huo et al., arXiv 2502.11051.
    """
    return (of_forget + SMALLEST) / (of_retain + SMALLEST) >= settings.threshold


METHOD = Method(
    MMUnlearner,
    mmunlearner_loss,
    (*FORGET, *RETAIN),
    source='Huo et al., "MMUnlearner", arXiv 2502.11051',
    parts={"nll": "negative log-likelihood of the true answers about people to retain"},
    heading="MMUnlearner",
    saliency=salient,
)
