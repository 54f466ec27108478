"""PO: fine-tuning on refusals to the forget questions and on the true answers to the retain questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from viker.methods.base.method import FORGET, REFUSED, RETAIN, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class PO(MethodSettings):
    """Preference for refusals by likelihood; no settings of its own."""

    name: Literal["po"] = "po"


def po_loss(
    logits: Tensor,
    answers: Tensor,
    refusal_logits: Tensor,
    refusal_answers: Tensor,
    retain_logits: Tensor,
    retain_answers: Tensor,
) -> dict[str, Tensor]:
    """Return ``loss`` = ``refusal_nll`` + ``nll``: -mean_t log p of refusals to forget questions and of retain answers.

    ``ga`` is mean_t log p(y_t) of the true answers to forget, which nothing presses directly.

    Shapes: ``Inputs``. Source: Maini et al., "TOFU", arXiv 2401.06121, preference optimisation; idk or PO in CLEAR,
    arXiv 2410.18057, and UMU-Bench.
    """
    from viker.methods.base.tokens import mean_log_likelihood

    refusal = -mean_log_likelihood(refusal_logits, refusal_answers)
    nll = -mean_log_likelihood(retain_logits, retain_answers)
    ga = mean_log_likelihood(logits, answers).detach()
    return {"loss": refusal + nll, "ga": ga, "refusal_nll": refusal, "nll": nll}


METHOD = Method(
    PO,
    po_loss,
    (*FORGET, *REFUSED, *RETAIN),
    source='Maini et al., "TOFU", arXiv 2401.06121, preference optimisation; idk or PO in CLEAR, arXiv 2410.18057',
    parts={
        "refusal_nll": "negative log-likelihood of refusals to the questions about people to forget",
        "nll": "negative log-likelihood of the true answers about people to retain",
    },
    heading="PO",
)
