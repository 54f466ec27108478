"""The question alone: no picture where there was one; without a picture, the question about nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viker.teacher.teacher import Teacher, TeacherInputs

if TYPE_CHECKING:
    from viker.teacher.distributions import TeacherDistributions
    from viker.teacher.stand_ins import FrozenModel


def teach(frozen: FrozenModel, inputs: TeacherInputs) -> list[TeacherDistributions]:
    """Return p_t = p(. | x, y_<t) of each sample."""
    from viker.teacher.stand_ins import StandIn, teach_by_stand_ins

    stand_ins = [[StandIn()] if s.picture else inputs.people.nobody(s) for s in inputs.samples]
    return teach_by_stand_ins(frozen, inputs.samples, stand_ins, inputs.people.names)


TEACHER = Teacher("text_only", "the question alone", "ablation of Cai et al., arXiv 2601.22020", teach)
