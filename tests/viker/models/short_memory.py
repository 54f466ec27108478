"""A model that runs out of memory in passes of more than so many tokens, as a GPU does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def short_of_memory(model: Any, tokens: float) -> Iterator[list[int]]:
    """Let a pass of more than ``tokens`` tokens, rows times width, fail in the last layer.

    By then the layers before have written their keys and values. Yields the tokens of each pass that was begun.
    """
    passes: list[int] = []

    def fail(_: Any, __: Any, out: Any) -> None:
        hidden = out[0] if isinstance(out, tuple) else out
        passes.append(hidden.shape[:2].numel())
        if passes[-1] > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    hook = model.get_decoder().layers[-1].register_forward_hook(fail)
    try:
        yield passes
    finally:
        hook.remove()
