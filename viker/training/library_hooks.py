"""The one place that reaches into a library's private parts; its test fails where the library changes them."""

from collections.abc import Sequence

from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel


def leave_out_of_ddp(module: Module, names: Sequence[str]) -> None:
    """Have DDP neither broadcast nor reduce the parameters of ``module`` with these names.

    DDP has no public way to be told (https://github.com/pytorch/pytorch/issues/43690), and can't broadcast what FSDP
    has sharded.
    """
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, list(names))
