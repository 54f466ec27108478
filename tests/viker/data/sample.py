"""What the common suite needs to know of a format's sample data; each ``NAME_data.py`` lists its own as ``SAMPLES``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Counts = dict[str, tuple[int, int, dict[str, int]]]


@dataclass(frozen=True)
class Sample:
    """One format's data in one shape."""

    label: str
    write: Callable[[Path], Path]
    """Writes it to a new folder and returns the source, the folder or a file in it."""
    forget_share: float
    table: str
    """A table of the source to damage; empty where the source is the table."""
    column: str
    """A column of text in that table."""
    counts: Counts
    """People, pictures, and records of each task, by split."""
    wrong_type: Callable[[Path], str] | None = None
    """Puts a value of another type into a table that isn't Parquet; returns what the error must name."""
