"""Retrain: plain fine-tuning on the retain samples, of a model that has never seen the people to forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from viker.methods.base.method import FORGET, Method, MethodSettings, RetainTerm

if TYPE_CHECKING:
    from torch import Tensor


class Retrain(MethodSettings):
    """Fine-tuning on the retain samples alone."""

    name: Literal["retrain"] = "retrain"
    base_model: str = Field(default="", validate_default=True, examples=["models/base"])
    """A folder or hub name: the model before it learnt the people."""

    @field_validator("base_model")
    @classmethod
    def _named(cls, base_model: str) -> str:
        if not base_model:
            raise ValueError(
                "the method retrain starts from the model before it learnt the people: name its folder or hub name "
                "(an adapter on the vanilla model can't make it not know them)"
            )
        return base_model

    @field_validator("retain")
    @classmethod
    def _learns_retain_alone(cls, retain: RetainTerm) -> RetainTerm:
        if retain.active:
            raise ValueError("the method retrain trains on retain samples alone: leave the key out")
        return retain

    @property
    def start_model(self) -> str:
        """The model before it learnt the people."""
        return self.base_model


def retrain_loss(logits: Tensor, answers: Tensor) -> dict[str, Tensor]:
    """Return ``loss`` = ``nll`` = -mean_t log p(y_t | I, x, y_<t), at least 0.

    Shapes: ``Inputs``. Source: the gold reference of unlearning, such as TOFU's retain model, arXiv 2401.06121.
    """
    from viker.methods.base.tokens import mean_log_likelihood

    nll = -mean_log_likelihood(logits, answers)
    return {"loss": nll, "nll": nll}


METHOD = Method(
    Retrain,
    retrain_loss,
    FORGET,
    source='Maini et al., "TOFU", arXiv 2401.06121, the retain model',
    parts={"nll": "negative log-likelihood of the true answers about people to retain"},
    unlearns=False,
    heading="Retrain",
)
