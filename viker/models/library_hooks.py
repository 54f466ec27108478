"""The one place that reaches into a library's private parts; its test fails where the library changes them."""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel


def leave_out_of_ddp(module: Module, names: Sequence[str]) -> None:
    """Have DDP neither broadcast nor reduce the parameters of ``module`` with these names.

    DDP has no public way to be told (https://github.com/pytorch/pytorch/issues/43690), and can't broadcast what FSDP
    has sharded.
    """
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, list(names))


def with_global(function: Callable[..., Any], name: str, value: object) -> Callable[..., Any] | None:
    """Return a copy of ``function`` that finds ``value`` under the global ``name``, or None where it refers to none.

    transformers' attention calls the function that rotates queries and keys by its name in the module, and takes no
    other; replacing it there would change every model of the family.
    """
    if not isinstance(function, FunctionType) or name not in function.__code__.co_names:
        return None
    names = {**function.__globals__, name: value}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def switch_adapter(layers: Sequence[BaseTunerLayer], on: bool) -> None:
    """Switch the adapter of ``layers`` on or off, for a pass without gradients.

    PEFT's ``disable_adapter_layers`` looks for the layers in the whole model, and freezes their weights: with 32 layers
    it takes milliseconds, twice in each training step, while a GPU waits.
    """
    for layer in layers:
        layer._disable_adapters = not on
