"""The plot of a sweep: what each combination still gives away of the forgotten, and what it keeps of the others."""

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
    shown = [row for row in rows if row[forget] is not None and row[retain] is not None]
    for passed, colour, label in ((True, "#2a7f4f", "gate passed"), (False, "#b0413e", "gate failed")):
        chosen = [row for row in shown if (row["verdict"] == "pass") is passed]
        if chosen:
            axes.scatter([r[forget] for r in chosen], [r[retain] for r in chosen], c=colour, label=label, zorder=3)
    front = sorted((row[forget], row[retain]) for row in shown if row["pareto"])
    if front:
        axes.plot(*zip(*front, strict=True), c="#777777", lw=1, ls="--", label="not beaten")
    names = [key for key in rows[0] if "." in key or key in ("seed", "threads")]
    for row in shown:
        text = ", ".join(f"{name.rpartition('.')[2]} {row[name]}" for name in names)
        axes.annotate(text, (row[forget], row[retain]), xytext=(5, 5), textcoords="offset points", fontsize=7)
    axes.set_title("Forgetting against retention")
    axes.set(xlabel=f"{forget} (less is better)", ylabel=f"{retain} (more is better)")
    axes.grid(alpha=0.3)
    if shown:
        axes.legend(loc="best", fontsize=8)
    figure.savefig(out, format="png", metadata={"Software": None})
