"""The table at equal forgetting, and the plot of what is kept over what is forgotten."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
from matplotlib import pyplot as plt

LEVELS = (0.50, 0.30, 0.10)
"""Forget accuracies at which the methods are compared."""


def at_level(run: pd.DataFrame, level: float) -> dict[str, float] | None:
    """Return retain accuracy, step and seconds where a run's forget accuracy first falls to ``level``.

    Between two measurements, linear in forget accuracy; None: it never falls so far.
    """
    run = run.sort_values("step")
    reached = run[run["forget"] <= level]
    if reached.empty:
        return None
    after = reached.iloc[0]
    before = run[run["step"] < after["step"]]
    columns = ["retain", "step", "seconds"]
    if before.empty:
        return {name: float(after[name]) for name in columns}
    last = before.iloc[-1]
    share = (last["forget"] - level) / (last["forget"] - after["forget"])
    return {name: float(last[name] + share * (after[name] - last[name])) for name in columns}


def table(points: pd.DataFrame) -> str:
    """Return a Markdown table with one row per setting, sorted by the last level; means over seeds that reach it."""
    rows = []
    for setting, of_setting in points.groupby("setting"):
        cells, order = [str(setting)], []
        runs = [run for _, run in of_setting.groupby("seed")]
        for level in LEVELS:
            found = [values for run in runs if (values := at_level(run, level)) is not None]
            few = "" if len(found) == len(runs) else f" ({len(found)} of {len(runs)})"
            mean = pd.DataFrame(found).mean() if found else None
            cells.append("–" if mean is None else f"{mean['retain']:.2f}{few}")
            order.append(-1.0 if mean is None else float(mean["retain"]))
        cells += ["–", "–"] if mean is None else [f"{mean['step']:.0f}", f"{mean['seconds']:.0f}"]
        rows.append((order[::-1], f"| {' | '.join([*cells, str(len(runs))])} |"))
    levels = " | ".join(f"retain accuracy at {level:.2f}" for level in LEVELS)
    head = f"| method | {levels} | steps to {LEVELS[-1]:.2f} | seconds | seeds |"
    return "\n".join([head, "|---" * (len(LEVELS) + 4) + "|", *(row for _, row in sorted(rows, reverse=True))]) + "\n"


def frontier(points: pd.DataFrame, path: Path) -> None:
    """Plot each setting's retain accuracy over its forget accuracy: a thin line per seed, a thick one for the mean."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    colours = mpl.color_sequences["tab20"]
    for number, (setting, of_setting) in enumerate(points.groupby("setting")):
        colour = colours[number % len(colours)]
        for _, run in of_setting.groupby("seed"):
            axes.plot(run["forget"], run["retain"], color=colour, alpha=0.25, linewidth=0.8)
        level = [value / 20 for value in range(20, 0, -1)]
        runs = [run for _, run in of_setting.groupby("seed")]
        found = [(x, [v["retain"] for run in runs if (v := at_level(run, x)) is not None]) for x in level]
        line = [(x, sum(values) / len(values)) for x, values in found if len(values) == len(runs)]
        axes.plot(*zip(*line, strict=True), "o-", color=colour, markersize=3, label=str(setting))
    axes.set(xlabel="forget accuracy (lower is better)", ylabel="retain accuracy (higher is better)")
    axes.set(xlim=(1.03, -0.03), ylim=(-0.03, 1.03))
    for level_ in LEVELS:
        axes.axvline(level_, color="0.85", zorder=0)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False, fontsize=8, loc="lower left", ncol=2)
    figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)
