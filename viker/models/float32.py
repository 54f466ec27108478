"""A model of half precision computed in float32, an operation at a time: what its rounding is measured by."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

HALF = (torch.bfloat16, torch.float16)


class _InFloat32(TorchFunctionMode):
    """Hands tensors of half precision to each operation as float32; operations that write in place get their own."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if not _writes(name) and not _communicates(sys._getframe(1)):
            args, kwargs = tree_map(_widened, (args, kwargs or {}))
        return func(*args, **(kwargs or {}))


@contextmanager
def in_float32() -> Iterator[None]:
    """Compute in float32 while the block runs, though weights and inputs have half precision.

    No copy of the model is made: a weight is widened for the operation that it takes part in, so that the memory for
    one layer's is enough. Not for training.
    """
    with torch.no_grad(), _InFloat32():
        yield


def _communicates(caller: FrameType | None) -> bool:
    """Return whether an operation gathers or frees what processes share: FSDP does so around a layer's forward."""
    while caller and (module := caller.f_globals["__name__"]).startswith("torch."):
        if module.startswith("torch.distributed"):
            return True
        if module.startswith("torch.nn"):
            return False
        caller = caller.f_back
    return False


def _writes(name: str) -> bool:
    """Return whether an operation of this name changes its first argument: add_, __setitem__, __iadd__."""
    if name.startswith("__"):
        reads = ("__index__", "__invert__")
        return name in ("__setitem__", "__set__") or (name.startswith("__i") and name not in reads)
    return name.endswith("_")


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) and value.dtype in HALF else value
