"""A language model's layers in fewer operations: at small batches a GPU waits for the launches of their kernels."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.fast_path import FastPath, NoFastPath
from viker.models.fused_operations import Cast, GatedLoraProduct, GatedProduct, LoraProducts, rms_norm, rotate
from viker.models.layer_gradients import LayerGradients, adapter_that_adds
from viker.models.library_hooks import with_global
from viker.models.loading import one_line
from viker.models.logits import answer_logits, unwrapped
from viker.models.right_padding import shortest_and_longest

TRAINING, ASKING, GRADIENTS = (
    FastPath("fused layers", "each operation of a layer is launched by itself", step, 1e-4, 5e-2, of)
    for step, of in (("training", "logits"), ("asking", "logits"), ("training", "gradients"))
)
Forward = Callable[..., Any]


def fuse_layers(model: Any, encoder: Encoder, samples: Sequence[Sample], path: FastPath = TRAINING) -> None:
    """Fuse a language model's layers, and its adapter's; parameters and gradients are what they were, up to rounding.

    The shortest and the longest of ``samples`` are computed both ways to verify that they agree, for training with the
    gradients of the last layer; if they don't, every layer stays as it is. So do modules that a family or a kind of
    adapter computes in a way of its own.
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
            with adapter_that_adds(model):
                path.verify(model, fused(), plain, fused)
                if path is TRAINING:
                    use({})
                    taken = LayerGradients(model, batch, forwards_below)
                    GRADIENTS.verify(model, taken.fast(), taken.plain, taken.fast)
        except (TypeError, RuntimeError) as error:  # of a family that calls one in another way, or of the GPU
            raise NoFastPath(one_line(error)) from error
        use(forwards)

    path.take(model, fuse, partial(use, {}))


def fused_forwards(model: Any) -> dict[nn.Module, Forward]:
    """Return the modules of the language model that can be fused, and what computes each."""
    return forwards_below(unwrapped(model).get_decoder())


def forwards_below(decoder: nn.Module) -> dict[nn.Module, Forward]:
    """Return the same of a whole decoder, or of one of its layers."""
    forwards: dict[nn.Module, Forward] = {}
    groups: list[LayerGroup] = []
    for module in decoder.modules():
        parts = dict(module.named_children())
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            forwards[module] = partial(rms_norm, module)
        elif parts.keys() == {"gate_proj", "up_proj", "down_proj", "act_fn"} and _silu(module.act_fn):
            together = LayerGroup.of(parts["gate_proj"], parts["up_proj"])
            down = LayerGroup.of(parts["down_proj"])
            forwards[module] = partial(_gated_mlp, module, down)
            groups += [group for group in (together, down) if group]
        elif parts.keys() >= {"q_proj", "k_proj"}:
            forward = with_global(type(module).forward, "apply_rotary_pos_emb", rotate)
            if forward is not None:
                forwards[module] = partial(forward, module)
            together = LayerGroup.of(*(parts[name] for name in ("q_proj", "k_proj", "v_proj") if name in parts))
            groups += [together] if together else []
        elif _plain_lora(module) and not any(module in group.layers for group in groups):
            groups.append(LayerGroup([module]))
    for group in groups:
        forwards |= {layer: partial(group.forward, layer) for layer in group.layers}
    if groups:
        forwards[decoder] = partial(_casting, decoder, groups)
    return forwards


class LayerGroup:
    """Linear layers with adapters that a module calls one after the other on the same input: one node of the graph.

    The first call computes all of them, and the next ones find their result. ``cast``: A of all layers, one below the
    other, and B of each, in the model's precision; empty while there are none.
    """

    def __init__(self, layers: list[Any]) -> None:
        """Take the layers."""
        self.layers = layers
        self.cast: tuple[Tensor, ...] = ()
        self._input: Tensor | None = None
        self._outs: dict[Any, Tensor] = {}

    @classmethod
    def of(cls, *layers: Any) -> "LayerGroup | None":
        """Return the layers as a group, or None if some compute more than W x + s B A x."""
        return cls(list(layers)) if all(map(_plain_lora, layers)) else None

    def forward(self, layer: Any, states: Tensor) -> Any:
        """Compute one of the layers; the others are computed with it and kept for their own calls."""
        if states is not self._input or layer not in self._outs:
            if not self.adds():
                return LoraLinear.forward(layer, states)
            self._input, self._outs = states, dict(zip(self.layers, self.compute(states), strict=True))
        out = self._outs.pop(layer)
        if not self._outs:
            self._input = None
        return out

    def compute(self, states: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each layer."""
        outs: tuple[Tensor, ...] = LoraProducts.apply(states, *self.arguments())
        return outs

    def arguments(self) -> tuple[Any, ...]:
        """Return what ``LoraProducts`` takes besides the input."""
        of_a, bs = self.matrices()
        a, *bs = self.cast or (torch.cat(of_a) if len(of_a) > 1 else of_a[0], *bs)
        bases = ((layer.base_layer.weight, layer.base_layer.bias) for layer in self.layers)
        scales = (layer.scaling[name] for layer in self.layers for name in layer.lora_A)
        return a, *(each for base, b, scale in zip(bases, bs, scales, strict=True) for each in (*base, b, scale))

    def matrices(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return A of all layers, and B of all."""
        pairs = [(layer.lora_A[name], layer.lora_B[name]) for layer in self.layers for name in layer.lora_A]
        return [a.weight for a, _ in pairs], [b.weight for _, b in pairs]

    def adds(self) -> bool:
        """Return whether all adapters are added now: there are no others, and none is off or merged into its layer."""
        return all(
            len(layer.lora_A) == 1
            and layer.active_adapters == list(layer.lora_A)
            and not (layer.disable_adapters or layer.merged)
            for layer in self.layers
        )


def _casting(decoder: Any, groups: list[LayerGroup], *args: Any, **kwargs: Any) -> Any:
    """Compute the language model after its adapter's matrices were cast, all at once."""
    _cast([group for group in groups if group.adds()])
    try:
        return type(decoder).forward(decoder, *args, **kwargs)
    finally:
        for group in groups:
            group.cast = ()


def _cast(groups: list[LayerGroup]) -> None:
    """Cast the groups' matrices where the model has another precision; a shard of them is cast by its layer."""
    pieces = [piece for of_a, bs in (group.matrices() for group in groups) for piece in (of_a, *([b] for b in bs))]
    matrices = [matrix for piece in pieces for matrix in piece]
    dtypes = {group.layers[0].base_layer.weight.dtype for group in groups}  # float32 while that verifies a model
    if len(dtypes) == 1 and dtypes != {matrices[0].dtype} and not isinstance(matrices[0], DTensor):
        cast = iter(Cast.apply(dtypes.pop(), [len(piece) for piece in pieces], *matrices))
        for group in groups:
            group.cast = tuple(islice(cast, 1 + len(group.layers)))


def _silu(activation: Any) -> bool:
    return isinstance(activation, nn.SiLU) or type(activation).__name__ == "SiLUActivation"


def _plain_lora(module: nn.Module) -> bool:
    """Return whether PEFT computes W x + s B A x with it, and nothing else: no dropout, bias of B, DoRA or 4 bits."""
    if not isinstance(module, LoraLinear) or type(module.base_layer) is not nn.Linear or module.lora_variant:
        return False
    dropout, b = (list(part.values()) for part in (module.lora_dropout, module.lora_B))
    return len(b) == 1 and b[0].bias is None and isinstance(dropout[0], nn.Identity)


def _gated_mlp(mlp: Any, down: LayerGroup | None, states: Tensor) -> Any:
    gate, up = mlp.gate_proj(states), mlp.up_proj(states)
    if down and down.adds():
        return GatedLoraProduct.apply(gate, up, *down.arguments())
    return mlp.down_proj(GatedProduct.apply(gate, up))
