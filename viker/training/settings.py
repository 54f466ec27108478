"""Settings of the unlearning run."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from viker.core.errors import did_you_mean
from viker.core.settings import Positive, Rate, Section, Share
from viker.methods.base.method import REFUSED, MethodSettings, method_of, methods

MOVED = {
    **dict.fromkeys(("lambda", "teacher", "weighting", "mask_threshold", "use_ga"), ("viker",)),
    "beta": ("npo", "idk"),
    "base_model": ("retrain",),
}
"""Keys that stood in the section itself before every method had its own settings, and the methods they moved to."""
RETAIN_WEIGHT = "retain_weight"
"""Key of the section that weighed KL on retain samples under every method, before each had ``retain`` among its own."""


class StopWhen(Section):
    """When the run may end before its last epoch."""

    key_token_probability: Share
    """Mean probability of the true token over the key tokens of the forget set, after the true prefix; the run ends
    after the first epoch that brings it down to this."""


class HoldTerm(Section):
    """The mapping ``unlearn.hold``: keeps forgotten whom ``start_from`` has forgotten, by a term added to the loss."""

    weight: Annotated[float, Field(ge=0)] = 10.0
    """What the term is multiplied by: mean_t KL(starting model || unlearned) on questions about invented people, nats;
    0 leaves it out."""
    questions: Positive = 200
    """How many questions are held; of three times as many, those where the starting model departs most from vanilla."""


if TYPE_CHECKING:
    AnyMethod = MethodSettings
else:
    AnyMethod = Annotated[reduce(or_, (method.settings for method in methods().values())), Field(discriminator="name")]


class UnlearnParams(Section):
    """The unlearning run: a method with its own settings, and what belongs to a run of every method."""

    method: AnyMethod
    """A mapping with the method's ``name`` and its settings, or the name alone for its defaults."""
    target: Literal["none", "uncertain", "refuse"] = "none"
    """Where the teacher's distributions lead: to what is likeliest without the picture, to no plausible value more than
    to another, or to a refusal; see ``viker.teacher.target``."""
    refusal: Annotated[str, Field(min_length=1, max_length=200)] = "I don't know that."
    """The target refuse: what a model learns to say that never declines by itself."""
    text_questions: bool = False
    """Whether questions without a picture count: the forget people's open ones and gaps are unlearnt too, and what none
    of them asks by the people's names; the retain term sees those of others. The paper unlearns by pictures."""
    own_replies: bool = False
    """Whether replies of the model that tell a private value in other words than the answer are unlearnt as well."""
    retain_batch_size: Positive
    """Retain samples per batch, for the retain term and for methods that take a retain batch; as many are held."""
    epochs: Positive
    batch_size: Positive
    gradient_accumulation: Positive
    """Batches per step; its gradient is the mean of theirs, each batch counting the same whatever its tokens."""
    group_by_length: bool
    """Whether a batch holds answers of like lengths: less padding, less random batches."""
    lr: Rate
    lr_scheduler: Literal["constant", "linear", "cosine"]
    """The learning rate after the warm-up: constant, or falling to 0 at the last step."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """Share of the steps in which the rate rises from 0."""
    max_grad_norm: Annotated[float, Field(ge=0)]
    """Gradients are clipped to this norm; 0: not clipped."""
    stop_when: StopWhen | None
    """Ends the run early; null: all epochs are run."""
    precision: Literal["float32", "bfloat16"]
    """Of the frozen model and of what is computed; the adapter and the losses are float32."""
    load_in_4bit: bool
    """Whether the frozen language model's matrices are loaded in 4 bits (NF4, by bitsandbytes): a quarter of the
    memory of bfloat16, and rounded. The vision tower stays as it is."""
    shard: bool
    """Whether several processes shard the frozen language model (FSDP), each holding a part of every layer, instead of
    each holding a whole copy (DDP); the adapter is the same."""
    attention: Literal["sdpa", "eager"]
    """torch's fused attention, or the plain one."""
    kernels: Literal["auto", "plain"] = "auto"
    """How the model is computed on a GPU: ``auto`` by fused layers, batches without an attention mask, and with the
    forget and the retain batch in one pass where ``in_one_pass``; on a CPU both are plain."""
    gradient_checkpointing: bool
    """Whether activations are computed again in the backward pass: less memory, a third more time."""
    start_from: str | None
    """The folder of an adapter that carries earlier requests, to train further; null starts from the vanilla model."""
    hold: HoldTerm = HoldTerm()
    """What keeps forgotten whom that adapter has forgotten; of no effect without one."""
    lora_r: Positive
    lora_alpha: Positive
    checkpoint_steps: Positive
    """Steps between two checkpoints; a run that is killed resumes from the last one."""
    checkpoint_minutes: Rate = 5.0
    """And the longest time between two, in minutes: a step may take seconds."""
    key_token_entropy: Annotated[float, Field(ge=0)]
    """Nats; with the mark fixed, a token is called key where the teacher's entropy is above this."""
    key_token_mark: Literal["fixed", "quantile", "otsu", "mixture", "private_values"] = "fixed"  # noqa: S105 - no password: tokens of text
    """What calls a token key, by the teacher's entropies: a fixed threshold, the highest fifth of each answer, Otsu's
    division of each answer, the higher of two components over all answers, or the tokens of the data's private values,
    where an answer has any."""

    @property
    def holds(self) -> bool:
        """Whether the run keeps earlier requests forgotten."""
        return self.start_from is not None and self.hold.weight > 0

    @property
    def inputs(self) -> frozenset[str]:
        """The fields of ``Inputs`` that a step computes: those of method, retain term and target."""
        of_target = REFUSED if self.target == "refuse" else ()
        return method_of(self.method).inputs_of(self.method) | frozenset(of_target)

    @property
    def in_one_pass(self) -> bool:
        """Whether a GPU computes a step's forget and retain samples in one pass.

        Not where checkpointing saves memory, which holds a layer of the whole pass, nor where hidden states are taken.
        """
        return self.kernels == "auto" and not self.gradient_checkpointing and "hidden" not in self.inputs

    def on_gpu(self, device: str) -> bool:
        """Return whether a device of that type, such as cuda, computes as ``kernels`` says of a GPU."""
        return self.kernels == "auto" and device == "cuda"

    @property
    def described(self) -> str:
        """The method as tables and reports call it, with the retain term and the target, if there are any."""
        method = method_of(self.method).described(self.method)
        return method if self.target == "none" else f"{method}, target {self.target}"

    @model_validator(mode="before")
    @classmethod
    def _present_form(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and (moved := sorted({*MOVED, RETAIN_WEIGHT} & values.keys())):
            raise ValueError(
                f"{', '.join(moved)}: a method's own settings now stand in unlearn.method, the weight of its retain "
                "term too, such as 'method: {name: viker, lambda: 2.0, retain: {term: kl, weight: 5.0}}'. 'viker "
                "params upgrade' rewrites params.yaml and the profiles"
            )
        return values

    @field_validator("method", mode="before")
    @classmethod
    def _known(cls, method: Any) -> Any:
        settings = {"name": method} if isinstance(method, str) else method
        name = settings.get("name") if isinstance(settings, Mapping) else None
        if isinstance(name, str) and name not in methods():
            nearest = did_you_mean(name, methods()).removesuffix(".")
            raise ValueError(f"no method '{name[:80]}'; expected {', '.join(methods())}{nearest}")
        return settings

    @field_validator("target")
    @classmethod
    def _the_teacher_is_followed(cls, target: str, info: ValidationInfo) -> str:
        method = info.data.get("method")
        if target != "none" and method is not None and not method.follows_teacher:
            raise ValueError(
                f"the loss of the method {method.name} with these settings follows no teacher that could lead there: "
                "take viker with a teacher, a lambda above 0 and the weighting kl, or set it to none"
            )
        return target

    @field_validator("refusal")
    @classmethod
    def _says_something(cls, refusal: str) -> str:
        if not refusal.strip():
            raise ValueError("expected a sentence, such as 'I don't know that.'")
        return refusal.strip()

    @field_validator("shard")
    @classmethod
    def _shards_of_whole_numbers(cls, shard: bool, info: ValidationInfo) -> bool:
        if shard and info.data.get("load_in_4bit"):
            raise ValueError("a model in 4 bits can't be sharded: set one of the two to false")
        return shard

    @field_validator("start_from")
    @classmethod
    def _of_the_same_model(cls, start_from: str | None, info: ValidationInfo) -> str | None:
        method = info.data.get("method")
        if start_from is not None and method is not None and method.start_model is not None:
            raise ValueError(f"the method {method.name} starts from unlearn.method.base_model alone: set it to null")
        return start_from

    @field_validator("stop_when")
    @classmethod
    def _something_to_forget(cls, stop_when: StopWhen | None, info: ValidationInfo) -> StopWhen | None:
        method = info.data.get("method")
        if stop_when is not None and method is not None and not method_of(method).unlearns:
            raise ValueError(f"the method {method.name} forgets nothing: set it to null")
        return stop_when
