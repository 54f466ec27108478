"""GA: gradient ascent on the negative log-likelihood of the forget answers."""

from torch import Tensor

from viker.methods.tokens import mean_log_likelihood


def ga_loss(logits: Tensor, answers: Tensor) -> dict[str, Tensor]:
    """Return ``loss`` = ``ga`` = mean_t log p(y_t | I, x, y_<t), which falls as the answers are unlearnt.

    Args:
        logits: [B, N, V] of the forget batch at its answer positions.
        answers: [B, N] token ids, ``IGNORED`` where there is no answer token.

    Source: Cai et al., arXiv 2601.22020, the first term of its loss.
    """
    ga = mean_log_likelihood(logits, answers)
    return {"loss": ga, "ga": ga}
