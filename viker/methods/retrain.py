"""Retrain: plain fine-tuning on the retain samples, of a model that has never seen the people to forget."""

from torch import Tensor

from viker.methods.tokens import mean_log_likelihood


def retrain_loss(logits: Tensor, answers: Tensor) -> dict[str, Tensor]:
    """Return ``loss`` = ``nll`` = -mean_t log p(y_t | I, x, y_<t), at least 0.

    Args:
        logits: [B, N, V] of a batch of retain samples at its answer positions.
        answers: [B, N] token ids, ``IGNORED`` where there is no answer token.

    Source: the gold reference of unlearning, for example Maini et al., "TOFU", arXiv 2401.06121, its retain model.
    """
    nll = -mean_log_likelihood(logits, answers)
    return {"loss": nll, "nll": nll}
