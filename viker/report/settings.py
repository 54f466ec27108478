"""Settings of the report."""

from viker.core.settings import Positive, Section


class ReportParams(Section):
    """What the report shows."""

    answers: Positive
    """How many questions are shown with both models' answers."""
    redact: bool
    """Whether private values, names, pictures and IDs of people are withheld."""
