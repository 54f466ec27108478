"""What ``viker plan`` counts besides training: the passes that are as large as the memory allows, and attacks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from components.contract.params import Params
from viker.attacks.base.memory import soft_prompt_bytes, universal_perturbation_bytes
from viker.attacks.relearn import RelearnSettings
from viker.attacks.soft_prompt import SoftPromptSettings
from viker.attacks.universal_perturbation import UniversalPerturbationSettings
from viker.data.protocols import ASKED
from viker.generation.memory import MORE_REPLIES, likelihoods_bytes, replies_bytes
from viker.methods.ga import GA
from viker.models.fitting import fitting
from viker.models.sizes import vision_sizes
from viker.teacher.memory import MOST, teacher_pass_bytes
from viker.training import memory
from viker.training.settings import UnlearnParams


@dataclass(frozen=True)
class Passes:
    """Passes of one kind: ``most`` samples each, or fewer where a GPU holds fewer.

    ``base``: bytes that are there before; ``needed``: those of a pass of so many samples; ``processes``: how many
    processes have both on a GPU.
    """

    name: str
    most: int
    base: int
    needed: Callable[[int], int]
    processes: int = 1

    def peak(self, samples: int) -> int:
        """Return the peak in bytes with so many samples in a pass."""
        return self.processes * (self.base + self.needed(samples))

    def samples(self, gpu: int) -> int:
        """Return how many samples of a pass a GPU of so many bytes holds."""
        return fitting(self.most, gpu // self.processes - self.base, self.needed)


def passes(
    params: Params, config: Any, sizes: memory.Sizes, load: memory.Load, weights: int, stored: int
) -> list[Passes]:
    """Return the passes of teacher, replies, likelihoods, and of the attacks that optimise or train.

    Every sample has a picture of its own and every question one answer: where several share one, it takes less. With
    ``evaluate.processes`` of 2, two processes evaluate on the same GPU.

    Args:
        params: of the run.
        config: the model's.
        sizes: the model's.
        load: of the teacher's samples; those of the evaluation are as long, and replies as the protocol allows.
        weights: bytes that the model takes in unlearning.
        stored: e of the weights as they are stored, in which they are evaluated.
    """
    lengths, at_once = load.lengths, params.evaluate.processes
    protocol = params.evaluate.in_force()
    longest = max(protocol.longest(task) for task in ASKED)
    evaluated = stored * sizes.parameters + memory.adapter_bytes(sizes, params.unlearn)  # never in 4 bits

    def teacher(samples: int) -> int:
        return teacher_pass_bytes(sizes, memory.number_bytes(params.unlearn), lengths, samples, load.samples)

    def replies(rows: int) -> int:
        return replies_bytes(sizes, stored, lengths, rows, rows, longest)

    def likelihoods(questions: int) -> int:
        return likelihoods_bytes(sizes, stored, lengths, questions, questions)

    asking = {
        "replies": (MORE_REPLIES * params.evaluate.batch_size, replies),
        "likelihoods": (params.evaluate.batch_size, likelihoods),
    }
    evaluation = asking | dict(_attacks(params, config, sizes, load, stored))
    return [
        Passes("teacher", MOST, weights, teacher),
        *(Passes(name, most, evaluated, needed, at_once) for name, (most, needed) in evaluation.items()),
    ]


def _attacks(
    params: Params, config: Any, sizes: memory.Sizes, load: memory.Load, stored: int
) -> Iterator[tuple[str, tuple[int, Callable[[int], int]]]]:
    """Yield name, batch size and needed bytes of each attack of ``evaluate.attacks`` that optimises or trains."""
    lengths, vision = load.lengths, vision_sizes(config)
    for name, settings in params.evaluate.attacks.items():
        if not settings.enabled:
            continue
        if isinstance(settings, SoftPromptSettings):
            soft = partial(soft_prompt_bytes, sizes, stored, lengths, signs=settings.signs)
            yield name, (settings.batch_size, soft)
        elif isinstance(settings, UniversalPerturbationSettings):
            yield name, (settings.batch_size, partial(universal_perturbation_bytes, sizes, vision, stored, lengths))
        elif isinstance(settings, RelearnSettings):
            yield name, (settings.batch_size, partial(_relearn_bytes, params.unlearn, sizes, load, stored))


def _relearn_bytes(unlearn: UnlearnParams, sizes: memory.Sizes, load: memory.Load, stored: int, samples: int) -> int:
    """Return the peak of a step of relearning besides weights and adapter: a step of GA with one more adapter."""
    plain = {"method": GA(), "target": "none", "start_from": None, "attention": "sdpa"}
    plain |= {"gradient_checkpointing": False, "load_in_4bit": False, "batch_size": samples, "kernels": "plain"}
    step = unlearn.model_copy(update=plain | {"precision": "float32" if stored == 4 else "bfloat16"})
    trained = 4 * memory.adapter_bytes(sizes, step)  # weights, gradients, and two moments of AdamW
    return trained + memory.activation_bytes(sizes, step, load) + memory.working_bytes(sizes, step, load)
