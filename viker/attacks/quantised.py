"""Weights rounded to 8 or 4 bits, as models are shipped: an adapter's small changes may be rounded away.

Source: Zhang et al., "Catastrophic Failure of LLM Unlearning via Quantization", 2024.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from viker.attacks.settings import AttackParams, Int4Params
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, ask
from viker.attacks.targets import Targets
from viker.models.chat import sample_of


def run_int8(subject: Subject, targets: Targets, settings: AttackParams, seed: int) -> Attacked:
    """Ask the questions of the model with 8 bits a weight, one scale a row."""
    return _asked(subject, targets, settings, seed, 8, None)


def run_int4(subject: Subject, targets: Targets, settings: Int4Params, seed: int) -> Attacked:
    """Ask the questions of the model with 4 bits a weight, one scale for every ``settings.group`` of a row."""
    return _asked(subject, targets, settings, seed, 4, settings.group)


def _asked(
    subject: Subject, targets: Targets, settings: AttackParams, seed: int, bits: int, group: int | None
) -> Attacked:
    questions = [Question(record, sample_of(record)) for record in targets.questions(settings.questions, seed)]
    with rounded(subject, bits, group) as coarse:
        return Attacked(ask(coarse, questions, f"int{bits}"))


@contextmanager
def rounded(subject: Subject, bits: int, group: int | None) -> Iterator[Subject]:
    """Yield the subject with its adapter merged and its weights rounded; on leaving, they are what they were.

    All linear layers but the output head are rounded, as quantisers do. It happens in place: the weights as they
    were wait on the CPU, which needs their memory once more.
    """
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    try:
        with torch.no_grad():
            for weight, change in _weights(subject):
                kept.append((weight, weight.detach().to("cpu", copy=True)))
                weight.copy_(round_to_nearest(weight if change is None else weight + change, bits, group))
        yield replace(subject, adapter_on=False)
    finally:
        with torch.no_grad():
            for weight, before in kept:
                weight.copy_(before)


def round_to_nearest(weight: torch.Tensor, bits: int, group: int | None) -> torch.Tensor:
    """Return ``weight`` [rows, columns] on a symmetric grid of 2**bits - 1 values around 0.

    The largest magnitude of ``group`` columns of a row, or of the whole row, is the end of the grid.
    """
    columns = weight.shape[1]
    size = columns if group is None else min(group, columns)
    parts = nn.functional.pad(weight, (0, -columns % size)).unflatten(1, (-1, size))
    most = 2 ** (bits - 1) - 1
    scale = parts.abs().amax(-1, keepdim=True) / most
    scale = scale.where(scale > 0, torch.ones_like(scale))
    return ((parts / scale).round() * scale).flatten(1)[:, :columns]


def _weights(subject: Subject) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Yield each linear layer's weight, and what the adapter adds to it where it is on."""
    head = subject.model.get_output_embeddings()
    inside: set[int] = set()
    for module in subject.model.modules():
        if isinstance(module, LoraLayer):
            inside |= {id(part) for part in module.modules() if part is not module}
            yield module.get_base_layer().weight, _change(module) if subject.adapter_on else None
        elif isinstance(module, nn.Linear) and module is not head and id(module) not in inside:
            yield module.weight, None


def _change(layer: Any) -> torch.Tensor | None:
    changes = [layer.get_delta_weight(name) for name in layer.active_adapters if name in layer.lora_A]
    return sum(changes[1:], changes[0]) if changes else None
