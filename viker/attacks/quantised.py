"""Quantised: weights rounded to 8 or 4 bits, as models are shipped. An adapter's small changes may be rounded away.

Source: Zhang et al., "Catastrophic Failure of LLM Unlearning via Quantization", 2024.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.core.settings import Positive
from viker.data.samples import sample_of

if TYPE_CHECKING:
    from torch import Tensor

    from viker.attacks.base.subject import Subject
    from viker.attacks.base.targets import Targets
    from viker.data.records import Record


class Int4Settings(AttackSettings):
    """Settings of the attack quantised_int4."""

    group: Positive = 64
    """Weights that share a scale."""


def run(subject: Subject, targets: Targets, settings: AttackSettings, seed: int, bits: int) -> Outcome:
    """Ask the questions of the model with ``bits`` per weight: one scale per row, or per ``settings.group`` of it."""
    group = settings.group if isinstance(settings, Int4Settings) else None
    attempts = [Attempt(record, sample_of(record)) for record in targets.questions(settings.questions, seed)]
    with rounded(subject, bits, group) as rounded_subject:
        return Outcome(ask(rounded_subject, attempts, f"int{bits}"))


@contextmanager
def rounded(subject: Subject, bits: int, group: int | None) -> Iterator[Subject]:
    """Yield the subject with its adapter merged and its weights rounded; on leaving, they are what they were.

    All linear layers but the output head are rounded, as quantisers do. It happens in place: the weights as they
    were wait on the CPU, which needs their memory once more.
    """
    import torch

    originals: list[tuple[Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for weight, change in _weights(subject):
                originals.append((weight, weight.detach().to("cpu", copy=True)))
                weight.copy_(round_to_nearest(weight if change is None else weight + change, bits, group))
        yield replace(subject, adapter_on=False)
    finally:
        with torch.no_grad():
            for weight, original in originals:
                weight.copy_(original)


def round_to_nearest(weight: Tensor, bits: int, group: int | None) -> Tensor:
    """Return ``weight`` [rows, columns] on a symmetric grid of 2**bits - 1 values around 0.

    The largest magnitude of ``group`` columns of a row, or of the whole row, is the end of the grid.
    """
    import torch
    from torch.nn.functional import pad

    columns = weight.shape[1]
    size = min(group or columns, columns)
    parts = pad(weight, (0, -columns % size)).unflatten(1, (-1, size))
    most = 2 ** (bits - 1) - 1
    scale = parts.abs().amax(-1, keepdim=True) / most
    scale = scale.where(scale > 0, torch.ones_like(scale))
    return ((parts / scale).round() * scale).flatten(1)[:, :columns]


def _weights(subject: Subject) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield each linear layer's weight, and what the adapter adds to it where it is on."""
    from peft.tuners.lora import LoraLayer
    from torch import nn

    head = subject.model.get_output_embeddings()
    inside: set[int] = set()
    for module in subject.model.modules():
        if isinstance(module, LoraLayer):
            inside |= {id(part) for part in module.modules() if part is not module}
            active = [name for name in module.active_adapters if name in module.lora_A] if subject.adapter_on else []
            changes = [module.get_delta_weight(name) for name in active]
            yield module.get_base_layer().weight, sum(changes[1:], changes[0]) if changes else None
        elif isinstance(module, nn.Linear) and module is not head and id(module) not in inside:
            yield module.weight, None


def _asked(targets: Targets, settings: AttackSettings, seed: int) -> Sequence[Record]:
    return targets.questions(settings.questions, seed)


INT8 = Attack("quantised_int8", "Weights rounded to 8 bits", partial(run, bits=8), expected=_asked)
INT4 = Attack("quantised_int4", "Weights rounded to 4 bits", partial(run, bits=4), Int4Settings, expected=_asked)
