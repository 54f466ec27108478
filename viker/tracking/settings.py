"""Settings of the section tracking of params.yaml."""

from typing import Literal

from pydantic import Field

from viker.core.settings import Section


class TrackingParams(Section):
    """Where the curves of a training go besides MLflow. No stage is due when this changes."""

    also: list[Literal["wandb", "tensorboard"]] = Field(default_factory=list)
    """The Trainer's reporters, by the names that ``report_to`` has for them."""
