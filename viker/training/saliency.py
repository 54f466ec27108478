"""Selective updates: which of the adapter's weights forget, and a loss whose ascent moves no others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from viker.core.distributed import processes
from viker.data.samples import Sample
from viker.methods.base.method import MethodSettings, method_of
from viker.methods.base.tokens import mean_log_likelihood
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits

BATCH = 2
"""Samples of a squared gradient, MMUnlearner's; not the run's, so that the mask doesn't depend on the processes."""


def saliency_mask(
    model: Any, encoder: Encoder, forget: Sequence[Sample], retain: Sequence[Sample], method: MethodSettings
) -> dict[str, Tensor] | None:
    """Return for each trained weight of ``model`` the method's mask of its shape, by the adapter as it is now.

    None: the method has no ``saliency``. The adapter is fresh when a run begins, and a run that resumes finds the same
    mask again. Every process goes through all samples, as a sharded model needs.
    """
    salient = method_of(method).saliency
    if salient is None:
        return None
    of_forget, of_retain = (mean_squared_gradients(model, encoder, samples, BATCH) for samples in (forget, retain))
    return {name: salient(of_forget[name], of_retain[name], method) for name in of_forget}


def mean_squared_gradients(
    model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int
) -> dict[str, Tensor]:
    """Return for each trained weight the mean over the batches of its squared gradient of the mean log-likelihood.

    It is the diagonal of the empirical Fisher information of batches of ``batch_size``, in order.
    """
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    sums = {name: torch.zeros_like(weight) for name, weight in trained.items()}
    starts = range(0, len(samples), batch_size)
    for start in tqdm(starts, desc="saliency", unit="batch", disable=not processes().is_main_process):
        batch = encoder.batch(samples[start : start + batch_size])
        likelihood = mean_log_likelihood(answer_logits(model, batch), batch.answers)
        gradients = torch.autograd.grad(likelihood, list(trained.values()))
        for name, gradient in zip(trained, gradients, strict=True):
            sums[name] += gradient**2 / len(starts)
    return sums


def masked_ascent(loss: Tensor, ga: Tensor, model: Any, mask: dict[str, Tensor]) -> Tensor:
    """Return a loss of the same value whose gradient is that of ``loss`` - ``ga``, plus that of ``ga`` where unmasked.

    ``mask``: bools by the name of a weight, True where ``ga`` may move it.
    """
    weights = dict(model.named_parameters())
    trained = [weights[name] for name in mask]
    gradients = torch.autograd.grad(ga, trained, retain_graph=True)
    blocked = [(g * ~m * w).sum() for g, m, w in zip(gradients, mask.values(), trained, strict=True)]
    taken = torch.stack(blocked).sum()
    return loss - taken + taken.detach()
