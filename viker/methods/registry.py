"""The methods by the name that ``unlearn.method`` gives them: a line each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from viker.methods.ga import ga_loss
from viker.methods.graddiff import graddiff_loss
from viker.methods.idk import idk_loss
from viker.methods.inputs import Inputs
from viker.methods.kl import kl_loss
from viker.methods.npo import npo_loss
from viker.methods.retrain import retrain_loss
from viker.methods.viker import viker_loss
from viker.training.settings import UnlearnParams


@dataclass(frozen=True)
class Method:
    """A loss, and the fields of ``Inputs`` that it takes, in its order; ``settings`` are parameters, after those.

    ``unlearns``: its batches are of forget samples and the retain term may stand beside it; else they are of retain
    samples.
    """

    loss: Callable[..., dict[str, Tensor]]
    needs: tuple[str, ...]
    settings: tuple[str, ...] = ()
    unlearns: bool = True

    def __call__(self, inputs: Inputs, params: UnlearnParams) -> dict[str, Tensor]:
        """Return the loss and its parts by name."""
        given: list[Any] = [getattr(inputs, name) for name in self.needs]
        return self.loss(*given, *(getattr(params, name) for name in self.settings))


FORGET = ("logits", "answers")
RETAIN = ("retain_logits", "retain_answers")
REFUSAL = ("refusal_logits", "refusal_answers", "refusal_vanilla_logits")

METHODS = {
    "viker": Method(viker_loss, (*FORGET, "teacher"), ("lambda_", "use_ga", "weighting", "mask_threshold")),
    "ga": Method(ga_loss, FORGET),
    "graddiff": Method(graddiff_loss, (*FORGET, *RETAIN)),
    "kl": Method(kl_loss, (*FORGET, "retain_vanilla", *RETAIN)),
    "npo": Method(npo_loss, (*FORGET, "vanilla_logits"), ("beta",)),
    "idk": Method(idk_loss, (*FORGET, "vanilla_logits", *REFUSAL), ("beta",)),
    "retrain": Method(retrain_loss, FORGET, unlearns=False),
}
