"""What a teacher is, and which there are: each a module of ``viker.teacher.kinds``, or of an installed package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from viker.core.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from viker.data.samples import Sample
    from viker.teacher.distributions import TeacherDistributions
    from viker.teacher.people import People
    from viker.teacher.stand_ins import FrozenModel


@dataclass(frozen=True)
class TeacherInputs:
    """What is to be forgotten, and who could stand in for the people.

    ``samples``; ``images``: for each the keys of its k irrelevant images; ``values``: for each the private values in
    its answer; ``people``: whose names stand in the texts, and who can stand in for them.
    """

    samples: Sequence[Sample]
    images: Sequence[Sequence[str]]
    values: Sequence[Sequence[str]]
    people: People

    def of(self, numbers: Sequence[int]) -> TeacherInputs:
        """Return the inputs of some samples, by number."""
        samples = [self.samples[n] for n in numbers]
        images, values = ([own[n] for n in numbers] for own in (self.images, self.values))
        return TeacherInputs(samples, images, values, self.people)


@dataclass(frozen=True)
class Teacher:
    """A teacher: what the answer's tokens would look like without the knowledge.

    ``teach`` takes the frozen model and the inputs, and returns each sample's distributions [T, V] at its answer
    tokens. ``heading``: in tables and reports. ``source``: the paper, or this project.
    """

    name: str
    heading: str
    source: str
    teach: Callable[[FrozenModel, TeacherInputs], list[TeacherDistributions]]


@cache
def teachers() -> dict[str, Teacher]:
    """Return all teachers by name: those in ``viker.teacher.kinds``, then those of installed packages."""
    return load_plugins("viker.teacher.kinds", Teacher, "viker.teachers")


def teach(frozen: FrozenModel, inputs: TeacherInputs, weights: Mapping[str, float]) -> list[TeacherDistributions]:
    """Return the mixture of teachers, ``weights`` by name, which sum to 1: sum_i w_i p_i, [T, V] for each sample."""
    from viker.teacher.distributions import compact, full

    (first, *rest) = weights
    taught = teachers()[first].teach(frozen, inputs)
    if not rest:
        return taught
    mixed = [weights[first] * full(p) for p in taught]
    for name in rest:
        others = teachers()[name].teach(frozen, inputs)
        mixed = [sums + weights[name] * full(p) for sums, p in zip(mixed, others, strict=True)]
    return [compact(p) for p in mixed]
