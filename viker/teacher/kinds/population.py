"""Retained people in the person's place, picture and name: what the model says of people whom it still knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viker.teacher.teacher import Teacher, TeacherInputs

if TYPE_CHECKING:
    from viker.teacher.distributions import TeacherDistributions
    from viker.teacher.stand_ins import FrozenModel


def teach(frozen: FrozenModel, inputs: TeacherInputs) -> list[TeacherDistributions]:
    """Return p_t = 1/k sum_j p(. | I_j, x_j, y_j,<t) over retained people j who are asked the same question.

    Where the answer's private value stands, it is the distribution of that attribute in the population.
    """
    from viker.teacher.stand_ins import teach_by_stand_ins

    stand_ins = [inputs.people.population(sample) for sample in inputs.samples]
    return teach_by_stand_ins(frozen, inputs.samples, stand_ins, inputs.people.names)


TEACHER = Teacher("population", "retained people", "this project", teach)
