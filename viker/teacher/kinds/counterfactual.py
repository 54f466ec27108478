"""Irrelevant images, and nobody's name in place of the person's, for questions that name the person."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from viker.teacher.teacher import Teacher, TeacherInputs

if TYPE_CHECKING:
    from viker.teacher.distributions import TeacherDistributions
    from viker.teacher.stand_ins import FrozenModel


def teach(frozen: FrozenModel, inputs: TeacherInputs) -> list[TeacherDistributions]:
    """Return p_t = 1/k sum_j p(. | I'_j, x_j, y_j,<t): irrelevant image I'_j, and in x_j and y_j nobody's j-th name."""
    from viker.teacher.stand_ins import StandIn, teach_by_stand_ins

    people = inputs.people
    stand_ins = [
        list(map(StandIn, seen, cycle(people.others))) if sample.picture else people.nobody(sample)
        for sample, seen in zip(inputs.samples, inputs.images, strict=True)
    ]
    return teach_by_stand_ins(frozen, inputs.samples, stand_ins, people.names)


TEACHER = Teacher("counterfactual", "irrelevant images and nobody's name", "this project", teach)
