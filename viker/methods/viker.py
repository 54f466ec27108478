"""ViKeR: gradient ascent, regularised by what the frozen model says when it sees irrelevant images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from viker.core.errors import did_you_mean
from viker.core.plugins import plugin_names
from viker.methods.base.method import FORGET, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class ViKeR(MethodSettings):
    """Visual-guided key-token regularisation and its ablations; the defaults are the paper's method at lambda = 2."""

    name: Literal["viker"] = "viker"
    lambda_: Annotated[float, Field(ge=0, alias="lambda")] = 2.0
    """Weight of the regulariser; 0 is gradient ascent."""
    teacher: str | dict[str, Annotated[float, Field(gt=0)]] = "irrelevant"
    """A module of ``viker.teacher.kinds``, or several with weights, as {irrelevant: 1, population: 1}; none: no
    regulariser, gradient ascent."""
    weighting: Literal["kl", "entropy_weight", "hard_mask"] = "kl"
    """How key tokens are pressed most: by the regulariser, or instead by weights on gradient ascent."""
    mask_threshold: Annotated[float, Field(ge=0)] = 0.5
    """Nats; hard_mask presses only tokens where the teacher's entropy is above this."""
    use_ga: bool = True
    """Whether the loss has its first term, gradient ascent."""

    @field_validator("teacher", mode="before")
    @classmethod
    def _teacher_is_known(cls, teacher: Any) -> Any:
        weights = teacher.values() if isinstance(teacher, Mapping) else ()
        positive = all(isinstance(one, int | float) and not isinstance(one, bool) and one > 0 for one in weights)
        if not isinstance(teacher, str | Mapping) or not positive:
            raise ValueError(
                "expected a teacher's name, or names with weights above 0, such as {irrelevant: 1, population: 1}"
            )
        known = plugin_names("viker.teacher.kinds", "viker.teachers")
        named = [teacher] if isinstance(teacher, str) else list(teacher)
        if not named:
            raise ValueError("no teacher: name one, or say none")
        for name in named:
            if name not in known and teacher != "none":
                nearest = did_you_mean(name, known if "none" in named else [*known, "none"]).removesuffix(".")
                raise ValueError(f"no teacher '{name[:80]}'; expected {', '.join(known)}, or none alone{nearest}")
        return teacher

    @field_validator("weighting")
    @classmethod
    def _weighting_has_a_teacher(cls, weighting: str, info: ValidationInfo) -> str:
        if weighting != "kl" and info.data.get("teacher") == "none":
            raise ValueError("its weights are the teacher's entropy: set unlearn.method.teacher to another than none")
        return weighting

    @field_validator("use_ga")
    @classmethod
    def _a_term_is_left(cls, use_ga: bool, info: ValidationInfo) -> bool:
        bare = info.data.get("teacher") == "none" or info.data.get("lambda_") == 0 or info.data.get("weighting") != "kl"
        if not use_ga and bare:
            raise ValueError("without gradient ascent a teacher, a lambda above 0 and the weighting kl are needed")
        return use_ga

    @property
    def teachers(self) -> dict[str, float]:
        """The teachers and their weights, which sum to 1."""
        weights = {self.teacher: 1.0} if isinstance(self.teacher, str) else self.teacher
        return {} if self.teacher == "none" else {name: one / sum(weights.values()) for name, one in weights.items()}

    @property
    def follows_teacher(self) -> bool:
        """Whether the loss has its regulariser."""
        return self.weighting == "kl" and bool(self.teachers) and self.lambda_ > 0


def viker_loss(
    logits: Tensor,
    answers: Tensor,
    teacher: Tensor | None,
    lambda_: float,
    use_ga: bool = True,
    weighting: str = "kl",
    mask_threshold: float = 0.0,
) -> dict[str, Tensor]:
    """Return ``loss`` = ``ga`` + lambda * ``kl``, means over the answer tokens of the batch.

    ``ga`` = mean_t log p(y_t | I, x, y_<t); ``kl`` = mean_t KL(teacher_t || p(. | I, x, y_<t)). Its gradient by the
    logits of one token is (onehot(y_t) - lambda * teacher_t + (lambda - 1) * p) / tokens: at lambda = 1 the pressure
    on the true token is 1 - teacher_t(y_t), near 1 on key tokens and near 0 on grammar.

    Ablations: without a teacher, or at lambda = 0, the loss is gradient ascent's; without ``use_ga``, lambda * ``kl``
    alone; with another ``weighting`` than 'kl', mean_t w_t log p(y_t) in place of both terms, with the weights of
    ``token_weights``. ``ga`` is always the plain mean.

    Shapes: ``Inputs``; options: ``ViKeR``. Source: Cai et al., arXiv 2601.22020.
    """
    from viker.core.distributed import token_mean
    from viker.methods.base.tokens import chosen, divergence, log_probabilities
    from viker.methods.base.weights import token_weights
    from viker.models.encoder import IGNORED

    log_p = log_probabilities(logits, answers)
    true = chosen(log_p, answers)
    ga = token_mean(true)
    if teacher is None or (weighting == "kl" and lambda_ == 0):
        return {"loss": ga, "ga": ga}
    p = teacher[answers != IGNORED]
    if weighting != "kl":
        return {"loss": token_mean(token_weights(p, weighting, mask_threshold) * true), "ga": ga}
    kl = token_mean(divergence(p, log_p))
    return {"loss": ga + lambda_ * kl if use_ga else lambda_ * kl, "ga": ga, "kl": kl}


def floor(teacher: float, settings: ViKeR) -> float:
    """Return the probability of the true token below which the loss doesn't push it.

    By the logit of the true token y the loss has the gradient 1 - lambda q(y) + (lambda - 1) p(y), in the notation of
    `viker_loss` with q for the teacher. Where lambda > 1 it is zero at p(y) = (lambda q(y) - 1) / (lambda - 1), and
    below that it is negative: the loss raises p(y). Up to lambda = 1 it is never negative, so the floor is 0. Without
    gradient ascent the loss has its minimum at p = q. The other weightings have no regulariser, and no floor.

    ``teacher``: q(y), between 0 and 1. Source: this project.
    """
    if not settings.follows_teacher:
        return 0.0
    if not settings.use_ga:
        return teacher
    if settings.lambda_ <= 1:
        return 0.0
    return max(0.0, (settings.lambda_ * teacher - 1) / (settings.lambda_ - 1))


METHOD = Method(
    ViKeR,
    viker_loss,
    (*FORGET, "teacher"),
    options=("lambda_", "use_ga", "weighting", "mask_threshold"),
    source='Cai et al., "Visual-Guided Key-Token Regularization", arXiv 2601.22020',
    parts={"kl": "divergence from the teacher, who is not shown the person"},
    heading="ViKeR",
    floor=floor,
)
