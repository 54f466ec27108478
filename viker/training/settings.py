"""Settings of the unlearning run."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from viker.core.settings import Positive, Rate, Section, Share


class StopWhen(Section):
    """What has been forgotten when the run may end before its last epoch."""

    key_token_probability: Share
    """Mean probability of the true token over the key tokens of the forget set, shown the truth before it; the run
    ends after the first epoch that brings it down to this."""


class UnlearnParams(Section):
    """The unlearning run."""

    method: Literal["viker", "ga", "graddiff", "kl", "npo", "idk", "retrain"]
    base_model: str | None
    """For retrain: a folder or hub name of the model before it learnt the people."""
    lambda_: Annotated[float, Field(ge=0, alias="lambda")]
    """Weight of ViKeR's regulariser; 0 is gradient ascent."""
    teacher: Literal["irrelevant", "text_only", "none"]
    """What ViKeR's teacher sees: the irrelevant images, no picture at all; none: no regulariser, gradient ascent."""
    weighting: Literal["kl", "entropy_weight", "hard_mask"]
    """What makes ViKeR press key tokens most: the regulariser, or in its place weights on gradient ascent."""
    mask_threshold: Annotated[float, Field(ge=0)]
    """Nats; hard_mask presses only tokens where the teacher's entropy is above this."""
    use_ga: bool
    """Whether ViKeR's loss has its first term, gradient ascent."""
    beta: Rate
    """Inverse temperature of npo and idk; 0.1 in their papers."""
    retain_weight: Annotated[float, Field(ge=0)]
    """Weight of KL(vanilla || unlearned) on retain samples; 0, as in the paper, leaves the term out."""
    retain_batch_size: Positive
    """Retain samples a batch, for the retain term, graddiff and kl."""
    epochs: Positive
    batch_size: Positive
    gradient_accumulation: Positive
    """Batches a step; its gradient is the mean of theirs, each batch counting the same whatever its tokens."""
    group_by_length: bool
    """Whether a batch holds answers of like lengths: less padding, less random batches."""
    lr: Rate
    lr_scheduler: Literal["constant", "linear", "cosine"]
    """How the rate goes after the warm-up: it stays, or falls to 0 at the last step."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """Share of the steps in which the rate rises from 0."""
    max_grad_norm: Annotated[float, Field(ge=0)]
    """A longer gradient is cut to this; 0 cuts none."""
    stop_when: StopWhen | None
    """Ends the run early; null: all epochs are run."""
    precision: Literal["float32", "bfloat16"]
    """Of the frozen model; the adapter and the losses are float32."""
    load_in_4bit: bool
    """Whether the frozen language model's matrices are loaded in 4 bits (NF4, by bitsandbytes): a quarter of the
    memory of bfloat16, and rounded. The vision tower stays as it is."""
    shard: bool
    """Whether several processes share the frozen language model out among them (FSDP), each holding a part of every
    layer, in place of a whole one each (DDP); the adapter is the same."""
    attention: Literal["sdpa", "eager"]
    """torch's fused attention, or the plain one."""
    gradient_checkpointing: bool
    """Whether activations are computed again in the backward pass: less memory, a third more time."""
    start_from: str | None
    """The folder of an adapter that carries earlier requests, to train further; null starts from the vanilla model."""
    lora_r: Positive
    lora_alpha: Positive
    checkpoint_steps: Positive
    """Steps between two checkpoints; a run that is killed goes on from the last one."""
    key_token_entropy: Annotated[float, Field(ge=0)]
    """Nats; a token is called key in the records where the teacher's entropy is above this."""

    @field_validator("base_model")
    @classmethod
    def _base_for_retrain(cls, base: str | None, info: ValidationInfo) -> str | None:
        if base is None and info.data.get("method") == "retrain":
            raise ValueError(
                "the method retrain starts from the model before it learnt the people: name its folder or hub name "
                "(an adapter on the vanilla model can't make it not know them)"
            )
        return base

    @field_validator("shard")
    @classmethod
    def _shards_of_whole_numbers(cls, shard: bool, info: ValidationInfo) -> bool:
        if shard and info.data.get("load_in_4bit"):
            raise ValueError("a model in 4 bits can't be sharded: set one of the two to false")
        return shard

    @field_validator("weighting")
    @classmethod
    def _weighting_has_a_teacher(cls, weighting: str, info: ValidationInfo) -> str:
        if weighting != "kl" and info.data.get("teacher") == "none":
            raise ValueError("its weights are the teacher's entropy: set unlearn.teacher to irrelevant or text_only")
        return weighting

    @field_validator("use_ga")
    @classmethod
    def _a_term_is_left(cls, use_ga: bool, info: ValidationInfo) -> bool:
        bare = info.data.get("teacher") == "none" or info.data.get("lambda_") == 0 or info.data.get("weighting") != "kl"
        if not use_ga and info.data.get("method") == "viker" and bare:
            raise ValueError("without gradient ascent a teacher, a lambda above 0 and the weighting kl are needed")
        return use_ga

    @field_validator("start_from")
    @classmethod
    def _of_the_same_model(cls, start_from: str | None, info: ValidationInfo) -> str | None:
        if start_from is not None and info.data.get("method") == "retrain":
            raise ValueError("the method retrain starts from unlearn.base_model alone: set it to null")
        return start_from

    @field_validator("stop_when")
    @classmethod
    def _something_to_forget(cls, stop_when: StopWhen | None, info: ValidationInfo) -> StopWhen | None:
        if stop_when is not None and info.data.get("method") == "retrain":
            raise ValueError("the method retrain forgets nothing: set it to null")
        return stop_when
