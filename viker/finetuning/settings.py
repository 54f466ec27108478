"""Settings of the vanilla model."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from viker.core.settings import Positive, Rate, Section

VISION_HEADS = 4
"""Attention heads of the vision tower."""


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

    @field_validator("patch_size")
    @classmethod
    def _divides(cls, patch_size: int, info: ValidationInfo) -> int:
        side = info.data.get("image_size", patch_size)
        if side % patch_size:
            raise ValueError(f"a picture of image_size {side} is cut into whole patches: expected a divisor of {side}")
        return patch_size

    @field_validator("vision_width")
    @classmethod
    def _shared_out(cls, width: int) -> int:
        if width % VISION_HEADS:
            raise ValueError(f"the vision tower has {VISION_HEADS} heads: expected a multiple of {VISION_HEADS}")
        return width

    @field_validator("heads")
    @classmethod
    def _halves(cls, heads: int, info: ValidationInfo) -> int:
        width = info.data.get("width", 2 * heads)
        if width % (2 * heads):
            raise ValueError(
                f"width {width} is shared out among the heads, an even number to each (for rotary positions): "
                f"width must be a multiple of {2 * heads}"
            )
        return heads


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
