"""The paper's teacher: irrelevant images in place of the picture; without a picture, the question about nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viker.teacher.teacher import Teacher, TeacherInputs

if TYPE_CHECKING:
    from viker.teacher.distributions import TeacherDistributions
    from viker.teacher.stand_ins import FrozenModel


def teach(frozen: FrozenModel, inputs: TeacherInputs) -> list[TeacherDistributions]:
    """Return p_t = 1/k sum_j p(. | I'_j, x, y_<t) of each sample, over its k irrelevant images I'_j."""
    from viker.teacher.stand_ins import StandIn, teach_by_stand_ins

    pairs = zip(inputs.samples, inputs.images, strict=True)
    stand_ins = [list(map(StandIn, seen)) if s.picture else inputs.people.nobody(s) for s, seen in pairs]
    return teach_by_stand_ins(frozen, inputs.samples, stand_ins, inputs.people.names)


TEACHER = Teacher("irrelevant", "irrelevant images", "Cai et al., arXiv 2601.22020", teach)
