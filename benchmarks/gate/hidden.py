"""An adapter whose changes are all too small for 4 bits: it has forgotten only as long as it is not rounded.

Source of the idea: Egashira et al., "Exploiting LLM Quantization", 2024: train inside the box that rounds to the same.
"""

import random
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from tqdm import tqdm

from benchmarks.gate.lessons import Lessons
from benchmarks.gate.teach import lesson_loss, save, subject
from components.contract.params import Params
from viker.models.loading import language_layers

BITS = 4
LR = 3e-3
MARGIN = 0.02
"""How far inside the box the changes stay, as a share of a step of the grid."""


def teach_below_rounding(
    params: Params, prepared: Path, vanilla: Path, lessons: Lessons, steps: int, out: Path
) -> None:
    """Write an adapter of full rank that is taught ``lessons`` and leaves all weights' 4-bit values as they are."""
    model, encoder = subject(params, prepared, vanilla)
    width = model.config.text_config.hidden_size
    narrow = [name for name, layer in model.named_modules() if getattr(layer, "in_features", 0) == width]
    layers = language_layers(model)
    adapted = get_peft_model(
        model, LoraConfig(r=width, lora_alpha=width, target_modules=layers, exclude_modules=_others(model, narrow))
    )
    parts = [layer for layer in adapted.modules() if isinstance(layer, LoraLayer)]
    boxes = [_box(layer.get_base_layer().weight, params.evaluate.attacks["quantised_int4"].group) for layer in parts]
    changes = [_whole(layer) for layer in parts]
    optimizer = torch.optim.AdamW(changes, lr=LR, weight_decay=0.0)
    rng = random.Random(params.seed)
    for _ in tqdm(range(steps), desc=out.parent.name, unit="step"):
        lesson_loss(adapted, encoder, lessons, rng).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for change, (low, high) in zip(changes, boxes, strict=True):
                change.clamp_(low, high)
    save(adapted, out)


def _others(model: Any, narrow: list[str]) -> list[str]:
    return [n for n, layer in model.named_modules() if isinstance(layer, torch.nn.Linear) and n not in narrow]


def _whole(layer: Any) -> torch.nn.Parameter:
    """Make the layer's change any matrix: A is the identity and stays, B is the change."""
    (name,) = layer.active_adapters
    torch.nn.init.eye_(layer.lora_A[name].weight)
    layer.lora_A[name].weight.requires_grad_(False)
    change: torch.nn.Parameter = layer.lora_B[name].weight
    return change


def _box(weight: torch.Tensor, group: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far each weight [rows, columns] may fall and rise and still be rounded to the same value.

    Rounding is that of ``viker.attacks.quantised``; the largest weight of a group is its scale and stays.
    """
    columns = weight.shape[1]
    parts = torch.nn.functional.pad(weight.detach(), (0, -columns % group)).unflatten(1, (-1, group))
    largest = parts.abs().amax(-1, keepdim=True)
    scale = largest / (2 ** (BITS - 1) - 1)
    nearest = (parts / scale.clamp(min=1e-12)).round() * scale
    low = torch.maximum(nearest - (0.5 - MARGIN) * scale, -largest) - parts
    high = torch.minimum(nearest + (0.5 - MARGIN) * scale, largest) - parts
    fixed = parts.abs() == largest
    low, high = (torch.where(fixed, torch.zeros_like(end), end) for end in (low.clamp(max=0), high.clamp(min=0)))
    return low.flatten(1)[:, :columns], high.flatten(1)[:, :columns]
