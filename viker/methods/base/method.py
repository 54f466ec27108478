"""A method as the pipeline sees it: its settings, its loss and the tensors that the loss takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from viker.core.plugins import load_plugins
from viker.core.settings import Section

if TYPE_CHECKING:
    from torch import Tensor

FORGET = ("logits", "answers")
RETAIN = ("retain_logits", "retain_answers")
RATIO = "log of how much likelier the true answers to forget are than for the vanilla model; 0 at the start"
REFUSAL = ("refusal_logits", "refusal_answers", "refusal_vanilla_logits")


@dataclass
class Inputs:
    """Tensors of one step; only those that the method needs are filled.

    B forget samples of at most N answer tokens, R retain samples of at most M, V tokens. ``logits`` [B, N, V] and
    ``answers`` [B, N] of the forget batch. ``teacher`` [B, N, V]: probabilities. ``vanilla_logits`` [B, N, V]: the
    frozen model's. ``retain_logits``, ``retain_answers``, ``retain_vanilla`` (probabilities): the same of the retain
    batch, [R, M, V] and [R, M]. ``refusal_logits``, ``refusal_answers``, ``refusal_vanilla_logits``: the forget
    questions answered with a refusal. Answers are token ids, ``IGNORED`` where there is no answer token; nothing of the
    frozen model carries a gradient.
    """

    logits: Tensor
    answers: Tensor
    teacher: Tensor | None = None
    vanilla_logits: Tensor | None = None
    retain_logits: Tensor | None = None
    retain_answers: Tensor | None = None
    retain_vanilla: Tensor | None = None
    refusal_logits: Tensor | None = None
    refusal_answers: Tensor | None = None
    refusal_vanilla_logits: Tensor | None = None


class MethodSettings(Section):
    """The mapping ``unlearn.method``: ``name``, in each subclass a Literal with a default, and its own keys."""

    name: str

    @property
    def teacher_input(self) -> Literal["irrelevant", "text_only", "none"]:
        """What the teacher sees in place of the person: irrelevant images, or no picture; none: the loss has none."""
        return "irrelevant"

    @property
    def start_model(self) -> str | None:
        """The folder or hub name of the model to train from; None is the vanilla model."""
        return None


@dataclass(frozen=True)
class Method:
    """An unlearning method.

    ``needs``: the fields of ``Inputs`` that the loss takes, in its order. ``options``: the fields of ``settings`` that
    it takes after those. ``parts``: what each part of the loss measures, for the report, apart from ``loss`` and
    ``ga``. ``source``: the paper. ``unlearns``: its batches are forget samples and a retain term may be added;
    otherwise they are retain samples.
    """

    settings: type[MethodSettings]
    loss: Callable[..., dict[str, Tensor]]
    needs: tuple[str, ...]
    source: str
    options: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    unlearns: bool = True

    @property
    def name(self) -> str:
        """The name in ``unlearn.method.name``."""
        return str(self.settings.model_fields["name"].default)

    def takes_teacher(self, settings: MethodSettings) -> bool:
        """Return whether the loss takes the teacher's distributions under these settings."""
        return "teacher" in self.needs and settings.teacher_input != "none"

    def __call__(self, inputs: Inputs, settings: MethodSettings) -> dict[str, Tensor]:
        """Return the loss and its parts by name."""
        tensors: list[Any] = [getattr(inputs, name) for name in self.needs]
        return self.loss(*tensors, *(getattr(settings, name) for name in self.options))


@cache
def methods() -> dict[str, Method]:
    """Return all methods by name: those in ``viker.methods``, then those of installed packages."""
    return load_plugins("viker.methods", Method)


def method_of(settings: MethodSettings) -> Method:
    """Return the method that the settings belong to."""
    return methods()[settings.name]
