"""Settings of the vanilla model."""

from typing import Annotated

from pydantic import Field

from viker.core.settings import Positive, Rate, Section


class ModelParams(Section):
    """The size of the model that finetune builds and trains from scratch."""

    image_size: Positive
    """Pixels a side."""
    patch_size: Positive
    vision_width: Positive
    vision_layers: Positive
    width: Positive
    layers: Positive
    heads: Positive
    vocabulary: Positive
    """The most tokens that the byte-level BPE tokenizer may learn."""


class FinetuneParams(Section):
    """How the vanilla model is made, or which deployed model stands in for it."""

    deployed_model: str | None
    """A folder or hub name of a model that already knows the people; null: train a small one."""
    model: ModelParams
    base_steps: Annotated[int, Field(ge=0)]
    """Steps of base training: visual questions, and templates with answers drawn afresh."""
    memorise_epochs: Positive
    base_lr: Rate
    memorise_lr: Rate
    batch_size: Positive
