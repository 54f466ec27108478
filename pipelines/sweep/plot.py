"""The plot of a sweep: each combination by what it forgets and what it retains."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def pareto(rows: Sequence[Mapping[str, Any]], forget: str, retain: str, out: Path) -> None:
    """Draw forgetting (x, left is better) against retention (y, up is better) as a PNG.

    Args:
        rows: the swept values, the columns ``forget`` and ``retain``, ``verdict`` and ``pareto``.
        forget: the column of the x axis.
        retain: the column of the y axis.
        out: the picture's path; the format is PNG whatever its name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    measured = [row for row in rows if row[forget] is not None and row[retain] is not None]
    for passed, colour, label in ((True, "#2a7f4f", "gate passed"), (False, "#b0413e", "gate failed")):
        judged = [row for row in measured if (row["verdict"] == "pass") is passed]
        if judged:
            axes.scatter([r[forget] for r in judged], [r[retain] for r in judged], c=colour, label=label, zorder=3)
    front = sorted((row[forget], row[retain]) for row in measured if row["pareto"])
    if front:
        axes.plot(*zip(*front, strict=True), c="#777777", lw=1, ls="--", label="Pareto front")
    names = [key for key in rows[0] if "." in key or key in ("seed", "threads")]
    for row in measured:
        text = ", ".join(f"{name.rpartition('.')[2]} {row[name]}" for name in names)
        axes.annotate(text, (row[forget], row[retain]), xytext=(5, 5), textcoords="offset points", fontsize=7)
    axes.set_title("Forgetting versus retention")
    axes.set(xlabel=f"{forget} (lower is better)", ylabel=f"{retain} (higher is better)")
    axes.grid(alpha=0.3)
    if measured:
        axes.legend(loc="best", fontsize=8)
    figure.savefig(out, format="png", metadata={"Software": None})
