"""The logits of answers from one forward pass, whatever is around the model."""

import inspect
from typing import Any

import torch

from viker.core.errors import UserError
from viker.models.encoder import Batch


def answer_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Return the logits [B, N, V] that predict the answers' tokens; nothing is computed for other positions."""
    inner = unwrapped(model)
    if batch.predicting is None and "logits_to_keep" in inspect.signature(inner.forward).parameters:
        logits: torch.Tensor = model(**batch.inputs, use_cache=False, logits_to_keep=batch.answers.shape[1] + 1).logits
        return logits[:, :-1]
    head = inner.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, args: (batch.at_answers(args[0]), *args[1:]))
    try:
        logits = model(**batch.inputs, use_cache=False).logits
    finally:
        hook.remove()
    return logits


def need_finite(values: torch.Tensor, what: str) -> torch.Tensor:
    """Return ``values``, such as logits, whose name in an error is ``what``.

    A model whose logits are NaN says nothing that it knows, and would pass for one that has forgotten.

    Raises UserError: some of them are NaN or infinite.
    """
    broken = values.numel() - int(values.isfinite().sum())
    if broken:
        precision = str(values.dtype).removeprefix("torch.")
        raise UserError(
            f"{broken} of {values.numel()} numbers of {what} are NaN or infinite, computed in {precision}. "
            "float16 may be too narrow for this model: save it in bfloat16 or float32. In these, look for very large "
            "weights."
        )
    return values


def unwrapped(model: Any) -> Any:
    """Return the model of transformers that DDP or an adapter of PEFT is around, or ``model`` itself."""
    inner = getattr(model, "module", model)  # what DDP wraps
    return inner.get_base_model() if hasattr(inner, "get_base_model") else inner
