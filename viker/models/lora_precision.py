"""LoRA matrices stored in float32, computed with in the precision of the model around them."""

from typing import Any

from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional


class CastLinear(nn.Linear):
    """A linear layer that casts its weight to its input's precision, and its bias; their gradients have their own.

    PEFT casts the input instead: in a model of half precision a copy of all activations, and products in float32.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return x W^T + bias [..., out] for x [..., in]."""
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return functional.linear(input, self.weight.to(input.dtype), bias)


def compute_in_model_precision(adapted: Any) -> Any:
    """Return ``adapted``, its LoRA matrices turned into ``CastLinear``; their parameters stay the same objects.

    A float32 model computes what it did. In half precision the float32 weights are the master copy: optimiser and
    saved adapter have them, and each pass rounds them (Micikevicius et al., arXiv 1710.03740).
    """
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            layer.cast_input_dtype_enabled = False
            for matrices in (layer.lora_A, layer.lora_B):
                for name, matrix in matrices.items():
                    if not isinstance(matrix, CastLinear):
                        matrices[name] = _casting(matrix)
    return adapted


def _casting(matrix: nn.Linear) -> CastLinear:
    casting = CastLinear(matrix.in_features, matrix.out_features, device="meta")
    casting.weight, casting.bias = matrix.weight, matrix.bias
    return casting.train(matrix.training)
