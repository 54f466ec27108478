"""A measured figure, and the table of them."""

from collections.abc import Iterable
from dataclasses import dataclass

GOALS = {
    ("7b", "step, batch 2"): "at most 90 ms",
    ("7b", "share of the ceiling, batch 2"): "at least 0.45",
    ("7b", "share of the ceiling, batch 8"): "at least 0.60",
    ("7b", "memory of training"): "24 GB by default settings; plan within 3 %",
    ("13b", "memory of training"): "40 GB by default settings; plan within 3 %",
    ("7b", "teacher"): "at least 20",
    ("7b", "replies of the vanilla model"): "at least 6,000 tokens/s in at most 40 GiB",
    ("7b", "replies of the unlearned model"): "1",
    ("7b", "whole run, all three"): "at most 15 min, on an H100",
    ("7b", "two runs end with the same adapter"): "yes",
}
"""By size of the model and the beginning of a row's name: what is to be reached, on an H200."""


OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class Row:
    """One figure. ``ratio`` is that of the figure and the naive way's, ``of`` says which to which."""

    name: str
    value: float | str | None = None
    unit: str = ""
    naive: float | None = None
    ratio: float | None = None
    of: str = ""
    goal: str = ""
    peak_gib: float | None = None
    note: str = ""

    @property
    def is_measured(self) -> bool:
        """Return whether there is a figure, or none to be had, since the memory is too small."""
        return self.value is not None or self.note.startswith(OUT_OF_MEMORY)


def goal(size: str, name: str) -> str:
    """Return the goal of the row ``name``; "" if there is none."""
    return next((text for (of, start), text in GOALS.items() if of == size and name.startswith(start)), "")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| | measured | naive way | ratio | of | goal | peak, GiB | note |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        measured, naive = (
            f"{figure(value)} {row.unit}" if value is not None else "" for value in (row.value, row.naive)
        )
        cells = (row.name, measured.strip(), naive, figure(row.ratio), row.of, row.goal, figure(row.peak_gib), row.note)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(value: float | str | None) -> str:
    """Return a number with three digits that count; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
