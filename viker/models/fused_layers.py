"""A language model's layers in fewer operations: at small batches a GPU waits for the launches of their kernels."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.fast_path import FastPath, NoFastPath
from viker.models.fused_operations import GatedLoraProduct, GatedProduct, LoraProduct, rms_norm, rotate
from viker.models.library_hooks import with_global
from viker.models.loading import one_line
from viker.models.logits import answer_logits, unwrapped
from viker.models.right_padding import shortest_and_longest

TRAINING, ASKING = (
    FastPath("fused layers", "each operation of a layer is launched by itself", step, 1e-4, 5e-2)
    for step in ("training", "asking")
)
Forward = Callable[..., Any]


def fuse_layers(model: Any, encoder: Encoder, samples: Sequence[Sample], path: FastPath = TRAINING) -> None:
    """Fuse a language model's layers, and its adapter's; parameters and gradients are what they were, up to rounding.

    The shortest and the longest of ``samples`` are computed both ways to verify that they agree; if they don't, every
    layer stays as it is. So do modules that a family or a kind of adapter computes in a way of its own.
    """
    batch = encoder.batch(shortest_and_longest(encoder, samples))
    forwards = fused_forwards(model)

    @torch.no_grad()
    def logits(of_modules: dict[nn.Module, Forward]) -> Tensor:
        use(of_modules)
        return answer_logits(model, batch)[batch.mask]

    def use(of_modules: dict[nn.Module, Forward]) -> None:
        for module in forwards:
            vars(module).pop("forward", None)
        for module, forward in of_modules.items():
            vars(module)["forward"] = forward

    def fuse() -> None:
        fused, plain = partial(logits, forwards), partial(logits, {})
        try:
            path.verify(model, fused(), plain, fused)
        except (TypeError, RuntimeError) as error:  # of a family that calls one in another way, or of the GPU
            raise NoFastPath(one_line(error)) from error
        use(forwards)

    path.take(model, fuse, partial(use, {}))


def fused_forwards(model: Any) -> dict[nn.Module, Forward]:
    """Return the modules of the language model that can be fused, and what computes each."""
    forwards: dict[nn.Module, Forward] = {}
    for module in unwrapped(model).get_decoder().modules():
        parts = {name for name, _ in module.named_children()}
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            forwards[module] = partial(rms_norm, module)
        elif parts == {"gate_proj", "up_proj", "down_proj", "act_fn"} and _silu(module.act_fn):
            forwards[module] = partial(_gated_mlp, module, _plain_lora(module.down_proj))
        elif parts >= {"q_proj", "k_proj"}:
            forward = with_global(type(module).forward, "apply_rotary_pos_emb", rotate)
            if forward is not None:
                forwards[module] = partial(forward, module)
        elif _plain_lora(module):
            forwards[module] = partial(_lora_linear, module)
    return forwards


def _silu(activation: Any) -> bool:
    return isinstance(activation, nn.SiLU) or type(activation).__name__ == "SiLUActivation"


def _plain_lora(module: nn.Module) -> bool:
    """Return whether PEFT computes W x + s B A x with it, and nothing else: no dropout, bias of B, DoRA or 4 bits."""
    if not isinstance(module, LoraLinear) or type(module.base_layer) is not nn.Linear or module.lora_variant:
        return False
    dropout, b = (list(part.values()) for part in (module.lora_dropout, module.lora_B))
    return len(b) == 1 and b[0].bias is None and isinstance(dropout[0], nn.Identity)


def _gated_mlp(mlp: Any, plain_lora: bool, states: Tensor) -> Any:
    gate, up, down = mlp.gate_proj(states), mlp.up_proj(states), mlp.down_proj
    if plain_lora and _adds(down):
        return GatedLoraProduct.apply(gate, up, *_layer(down))
    return down(GatedProduct.apply(gate, up))


def _lora_linear(layer: Any, states: Tensor) -> Any:
    if _adds(layer):
        return LoraProduct.apply(states, *_layer(layer))
    return LoraLinear.forward(layer, states)


def _adds(layer: Any) -> bool:
    """Return whether its adapter is added now: there is no other, and it is neither off nor merged into the weights."""
    names = list(layer.lora_A)
    return len(names) == 1 and layer.active_adapters == names and not (layer.disable_adapters or layer.merged)


def _layer(layer: Any) -> tuple[Any, ...]:
    """Return what ``LoraProduct`` takes of a layer: W, bias, A, B and s."""
    base, [name] = layer.base_layer, layer.lora_A.keys()
    return base.weight, base.bias, layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]
