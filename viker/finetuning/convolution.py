"""Convolutions whose sums are cut at the same places on every processor.

Without oneDNN, PyTorch leaves the embedding of a picture's patches to NNPACK, which adds up as many products in a row
as fit into the processor's first cache: 292 where it has 32 KiB, 438 where it has 48. A sum in two parts rounds
differently from a sum in one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

IN_A_ROW = 292
"""Products, as NNPACK with AVX2 has it for 32 KiB: 8,192 numbers, over the 4 + 24 rows and columns of a block, even."""


@contextmanager
def same_convolutions(model: nn.Module) -> Iterator[None]:
    """Leave convolutions to NNPACK while the block runs, with the sums of a first cache of 32 KiB.

    The bytes are the same with a larger one for sums of up to 438 products; a patch of 12 x 12 pixels has 432. oneDNN,
    which is left out, divides its work by the processor's caches too.
    """
    before = torch.backends.mkldnn.set_flags(False)
    long = [one for one in model.modules() if isinstance(one, nn.Conv2d) and one.weight[0].numel() > IN_A_ROW]
    for convolution in long:
        setattr(convolution, "forward", _in_parts(convolution))  # noqa: B010 - over the method, until the block ends
    try:
        yield
    finally:
        for convolution in long:
            del convolution.forward
        torch.backends.mkldnn.set_flags(before[0])


def _in_parts(convolution: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """Return the convolution as the sum of convolutions with ``IN_A_ROW`` of its weights each, and zeros elsewhere.

    A product with zero changes no sum, so each part is a sum in a row, whatever the cache.
    """
    weight = convolution.weight
    numbers = torch.arange(weight[0].numel()).reshape(weight[0].shape)
    masks = [(numbers // IN_A_ROW == part).to(weight) for part in range(-(-numbers.numel() // IN_A_ROW))]

    def forward(pixels: Tensor) -> Tensor:
        how: tuple[Any, ...] = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
        first, *rest = (functional.conv2d(pixels, convolution.weight * mask, None, *how) for mask in masks)
        total = sum(rest, first)
        return total if convolution.bias is None else total + convolution.bias[:, None, None]

    return forward
