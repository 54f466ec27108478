"""What ``viker plan`` counts besides training: the passes that are as large as the memory allows, and attacks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.contract.params import Params
from viker.attacks.base.memory import soft_prompt_bytes, universal_perturbation_bytes
from viker.attacks.relearn import RelearnSettings
from viker.attacks.soft_prompt import SoftPromptSettings
from viker.attacks.universal_perturbation import UniversalPerturbationSettings
from viker.data.protocols import ASKED
from viker.generation.memory import likelihoods_bytes, replies_bytes
from viker.methods.ga import GA
from viker.models.fitting import fitting
from viker.models.sizes import vision_sizes
from viker.teacher.memory import MOST, teacher_pass_bytes
from viker.training import memory
from viker.training.settings import UnlearnParams


@dataclass(frozen=True)
class Passes:
    """Passes of one kind: ``most`` samples each, or fewer where a GPU holds fewer.

    ``base``: bytes that are there before; ``needed``: those of a pass of so many samples.
    """

    name: str
    most: int
    base: int
    needed: Callable[[int], int]

    def peak(self, samples: int) -> int:
        """Return the peak in bytes with so many samples in a pass."""
        return self.base + self.needed(samples)

    def samples(self, gpu: int) -> int:
        """Return how many samples a pass begins with on a GPU of so many bytes."""
        return fitting(self.most, gpu - self.base, self.needed)


def passes(params: Params, sizes: memory.Sizes, load: memory.Load, weights: int, stored: int) -> list[Passes]:
    """Return the passes of teacher, replies and likelihoods.

    Every sample has a picture of its own and every question one answer: where several share one, it takes less. With
    ``evaluate.processes`` of 2, two processes evaluate on the same GPU.

    Args:
        params: of the run.
        sizes: the model's.
        load: of the teacher's samples; those of the evaluation are as long, and replies as the protocol allows.
        weights: bytes that the model takes in unlearning.
        stored: e of the weights as they are stored, in which they are evaluated.
    """
    lengths, at_once = load.lengths, params.evaluate.processes
    protocol = params.evaluate.in_force()
    longest = max(protocol.longest(task) for task in ASKED)

    def teacher(samples: int) -> int:
        return teacher_pass_bytes(sizes, memory.number_bytes(params.unlearn), lengths, samples)

    def replies(rows: int) -> int:
        return at_once * replies_bytes(sizes, stored, lengths, rows, rows, longest)

    def likelihoods(questions: int) -> int:
        return at_once * likelihoods_bytes(sizes, stored, lengths, questions, questions)

    base = at_once * evaluated_bytes(params, sizes, stored)
    return [
        Passes("teacher", MOST, weights, teacher),
        Passes("replies", params.evaluate.batch_size, base, replies),
        Passes("likelihoods", params.evaluate.batch_size, base, likelihoods),
    ]


def evaluated_bytes(params: Params, sizes: memory.Sizes, stored: int) -> int:
    """Return the bytes of weights and adapter in evaluation: as they are stored, none in 4 bits."""
    return stored * sizes.parameters + memory.adapter_bytes(sizes, params.unlearn)


def attack_peaks(params: Params, config: Any, sizes: memory.Sizes, load: memory.Load, stored: int) -> dict[str, int]:
    """Return the peak in bytes of each attack of ``evaluate.attacks`` that optimises or trains, at its batch size.

    ``config``: the model's; the rest as for ``passes``. Attacks are made by as many processes.
    """
    base, lengths = evaluated_bytes(params, sizes, stored), load.lengths
    peaks: dict[str, int] = {}
    for name, settings in params.evaluate.attacks.items():
        if not settings.enabled:
            continue
        if isinstance(settings, SoftPromptSettings):
            peaks[name] = soft_prompt_bytes(sizes, stored, lengths, settings.batch_size, settings.signs)
        elif isinstance(settings, UniversalPerturbationSettings):
            vision = vision_sizes(config)
            peaks[name] = universal_perturbation_bytes(sizes, vision, stored, lengths, settings.batch_size)
        elif isinstance(settings, RelearnSettings):
            peaks[name] = _relearn_bytes(params.unlearn, settings, sizes, load, stored)
    return {name: params.evaluate.processes * (base + peak) for name, peak in peaks.items()}


def _relearn_bytes(
    unlearn: UnlearnParams, settings: RelearnSettings, sizes: memory.Sizes, load: memory.Load, stored: int
) -> int:
    """Return the peak of a step of relearning besides weights and adapter: a step of GA with one more adapter."""
    plain = {"method": GA(), "target": "none", "start_from": None, "attention": "sdpa"}
    plain |= {"gradient_checkpointing": False, "load_in_4bit": False, "batch_size": settings.batch_size}
    step = unlearn.model_copy(update=plain | {"precision": "float32" if stored == 4 else "bfloat16"})
    trained = 4 * memory.adapter_bytes(sizes, step)  # weights, gradients, and two moments of AdamW
    return trained + memory.activation_bytes(sizes, step, load) + memory.working_bytes(sizes, step, load)
