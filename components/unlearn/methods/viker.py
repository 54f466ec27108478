"""ViKeR: gradient ascent, regularised by what the frozen model says when it sees irrelevant images."""

from torch import Tensor

from components.unlearn.methods.tokens import mean_kl, mean_log_likelihood


def viker_loss(logits: Tensor, answers: Tensor, teacher: Tensor, lambda_: float) -> dict[str, Tensor]:
    """Return ``loss`` = ``ga`` + lambda * ``kl``, means over the answer tokens of the batch.

    ``ga`` = mean_t log p(y_t | I, x, y_<t); ``kl`` = mean_t KL(teacher_t || p(. | I, x, y_<t)). Its gradient by the
    logits of one token is (onehot(y_t) - lambda * teacher_t + (lambda - 1) * p) / tokens: at lambda = 1 the pressure
    on the true token is 1 - teacher_t(y_t), near 1 on key tokens and near 0 on grammar.

    Args:
        logits: [B, N, V] of the forget batch at its answer positions.
        answers: [B, N] token ids, ``IGNORED`` where there is no answer token.
        teacher: [B, N, V] probabilities, the mean over irrelevant images.
        lambda_: weight of the regulariser, at least 0; 0 is gradient ascent.

    Source: Cai et al., "Visual-Guided Key-Token Regularization", arXiv 2601.22020.
    """
    ga = mean_log_likelihood(logits, answers)
    if lambda_ == 0:
        return {"loss": ga, "ga": ga}
    kl = mean_kl(teacher, logits, answers)
    return {"loss": ga + lambda_ * kl, "ga": ga, "kl": kl}
