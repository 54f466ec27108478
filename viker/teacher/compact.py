"""Old names, for imports that have not moved yet."""

from viker.teacher.distributions import EXACT as EXACT
from viker.teacher.distributions import SCALE as SCALE
from viker.teacher.distributions import TeacherDistributions as Kept  # noqa: F401
from viker.teacher.distributions import bytes_per_token as bytes_a_token  # noqa: F401
from viker.teacher.distributions import from_tensors as from_tensors
from viker.teacher.distributions import full as whole  # noqa: F401
from viker.teacher.distributions import to_tensors as to_tensors
