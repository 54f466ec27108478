"""What a stage declares of itself; everything that is known of the stages as a whole is made from that."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module

from viker.core.settings import Section

STAGES = ("prepare", "finetune", "sample", "unlearn", "evaluate", "gate", "register", "report")
"""The stages in the order of the pipeline: folders beside this file."""


@dataclass(frozen=True)
class Stage:
    """One stage: its name and the section of params.yaml that is its own."""

    name: str
    section: type[Section]


@cache
def stage(name: str) -> Stage:
    """Return the declaration of a stage: ``STAGE`` of ``components/NAME/stage.py``."""
    declared: Stage = import_module(f"components.{name}.stage").STAGE
    return declared
