"""A method as the pipeline sees it: its settings, its loss and the tensors that the loss takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from viker.core.plugins import load_plugins
from viker.core.settings import Section

if TYPE_CHECKING:
    from torch import Tensor

FORGET = ("logits", "answers")
RETAIN = ("retain_logits", "retain_answers")
RATIO = "log of how much likelier the true answers to forget are than for the vanilla model; 0 at the start"
REFUSED = ("refusal_logits", "refusal_answers")
REFUSAL = (*REFUSED, "refusal_vanilla_logits")


@dataclass
class Inputs:
    """Tensors of one step; only those that the method needs are filled.

    B forget samples of at most N answer tokens, R retain samples of at most M, V tokens. ``logits`` [B, N, V] and
    ``answers`` [B, N] of the forget batch. ``teacher`` [B, N, V]: probabilities. ``vanilla_logits`` [B, N, V]: the
    frozen model's. ``retain_logits``, ``retain_answers``, ``retain_vanilla`` (probabilities): the same of the retain
    batch, [R, M, V] and [R, M]. ``refusal_logits``, ``refusal_answers``, ``refusal_vanilla_logits``: the forget
    questions answered with a refusal. ``hidden`` [B, N, D], ``retain_hidden`` and ``retain_vanilla_hidden`` [R, M, D]:
    what ``MethodSettings.hidden_layer`` puts out at the positions of ``logits`` and ``retain_logits``. Answers are
    token ids, ``IGNORED`` where there is no answer token; nothing of the frozen model carries a gradient.
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
    hidden: Tensor | None = None
    retain_hidden: Tensor | None = None
    retain_vanilla_hidden: Tensor | None = None


class RetainTerm(Section):
    """The mapping ``unlearn.method.retain``: a term on retain samples that is added to the method's own loss."""

    term: Literal["none", "kl", "nll"] = "none"
    """none; kl: mean_t KL(vanilla || unlearned); nll: the negative log-likelihood of the true answers. Means over the
    answer tokens of a retain batch that is drawn anew for each batch, nats."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """What the term is multiplied by; 0 leaves it out."""

    @property
    def active(self) -> bool:
        """Whether the term is added."""
        return self.term != "none" and self.weight > 0

    @property
    def needs(self) -> tuple[str, ...]:
        """The fields of ``Inputs`` that the term takes."""
        return {"none": (), "kl": ("retain_vanilla", *RETAIN), "nll": RETAIN}[self.term if self.active else "none"]


class MethodSettings(Section):
    """The mapping ``unlearn.method``: ``name``, in each subclass a Literal with a default, and its own keys."""

    name: str
    retain: RetainTerm = RetainTerm()
    """The term on retain samples added to the loss; none unless it is asked for."""

    @property
    def teachers(self) -> Mapping[str, float]:
        """The teachers by name, modules of ``viker.teacher.kinds``, and their weights, which sum to 1; {}: none.

        A method whose loss has no teacher is asked for one all the same: the records of key tokens need it.
        """
        return {"irrelevant": 1.0}

    @property
    def follows_teacher(self) -> bool:
        """Whether the loss draws the model towards the teacher's distributions, so that it ends where these lead."""
        return False

    @property
    def start_model(self) -> str | None:
        """The folder or hub name of the model to train from; None is the vanilla model."""
        return None

    def hidden_layer(self, layers: int) -> int | None:
        """Return which of the language model's ``layers``, from 0, puts out ``Inputs.hidden``; None: nothing is kept.

        The adapter of later layers is frozen. Raises UserError: there is no such layer.
        """
        return None


@dataclass(frozen=True)
class Method:
    """An unlearning method.

    ``needs``: the fields of ``Inputs`` that the loss takes, in its order. ``options``: the fields of ``settings`` that
    it takes after those. ``parts``: what each part of the loss measures, for the report, apart from ``loss`` and
    ``ga``. ``source``: the paper. ``unlearns``: its batches are forget samples and a retain term may be added;
    otherwise they are retain samples. ``heading``: its name in tables and reports; "": ``name``. ``saliency``: which
    weights forget. It takes the mean squared gradients of ``ga`` over the forget set and of the log-likelihood over the
    retain set, two tensors of a weight's shape, and the settings; where the tensor of bools that it returns is False,
    the weight gets no gradient of ``ga``. ``floor``: takes the teacher's probability of a true token, between 0 and 1,
    and the settings; returns what probability the loss doesn't push that token below; None: 0 throughout.
    """

    settings: type[MethodSettings]
    loss: Callable[..., dict[str, Tensor]]
    needs: tuple[str, ...]
    source: str
    options: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    unlearns: bool = True
    heading: str = ""
    saliency: Callable[[Tensor, Tensor, Any], Tensor] | None = None
    floor: Callable[[float, Any], float] | None = None

    @property
    def name(self) -> str:
        """The name in ``unlearn.method.name``."""
        return str(self.settings.model_fields["name"].default)

    def takes_teacher(self, settings: MethodSettings) -> bool:
        """Return whether the loss takes the teacher's distributions under these settings."""
        return "teacher" in self.needs and bool(settings.teachers)

    def inputs_of(self, settings: MethodSettings) -> frozenset[str]:
        """Return the fields of ``Inputs`` that the loss takes under these settings, those of the retain term too."""
        return frozenset((*self.needs, *settings.retain.needs))

    def described(self, settings: MethodSettings) -> str:
        """Return what tables and reports call the method under these settings, such as 'GA + retain KL'."""
        heading = self.heading or self.name
        return f"{heading} + retain {settings.retain.term.upper()}" if settings.retain.active else heading

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
