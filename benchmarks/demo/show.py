"""The table and the frontier plot of the measured epochs."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
from matplotlib import pyplot as plt

LEAKAGE = 0.10
"""Where a model has forgotten: the gate's bound."""
REFERENCES = ("vanilla", "never saw them")
COLUMNS = {
    "epoch": "epoch",
    "forget_leakage": "forget leakage",
    "test_leakage": "test leakage",
    "retain_accuracy": "retain accuracy",
    "forget_gibberish": "gibberish, forget",
    "gibberish": "gibberish, all",
    "verdict": "gate passed",
}


def table(epochs: pd.DataFrame) -> str:
    """Return a Markdown table: a row a setting, means over the seeds.

    Without the retain term each seed counts with its first epoch with forget leakage at most ``LEAKAGE``; with it,
    with its last epoch, which is what the pipeline would register. A setting that some seed never got there with
    says with how many it did.
    """
    lines = ["| setting | seeds | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    seeds = epochs["seed"].nunique()
    for setting, rows in epochs.groupby("setting", sort=False):
        chosen = pd.DataFrame([row for _, one in rows.groupby("seed") if (row := _counted(one)) is not None])
        if chosen.empty:
            lines.append(f"| {setting} | 0 of {seeds} |" + " – |" * len(COLUMNS))
            continue
        cells = [_cell(chosen, name) for name in COLUMNS]
        lines.append(f"| {setting} | {len(chosen)} of {seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def frontier(epochs: pd.DataFrame, path: Path) -> None:
    """Plot retain accuracy against forget leakage, a point an epoch and seed, and the mean path of each setting."""
    settings = [name for name in epochs["setting"].unique() if name not in REFERENCES]
    groups = [[s for s in settings if "retain" not in s], [s for s in settings if "retain" in s]]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    start = epochs[epochs["setting"] == "vanilla"]
    never = epochs[epochs["setting"] == "never saw them"]
    for axis, names, title in zip(axes, groups, ("Forget samples only", "With the retain term"), strict=True):
        axis.axvspan(-0.03, LEAKAGE, color="0.93", zorder=0)
        for colour, name in zip(("#c0392b", "#1f618d", "#28b463"), names, strict=False):
            rows = epochs[epochs["setting"] == name]
            axis.scatter(rows["forget_leakage"], rows["retain_accuracy"], s=9, color=colour, alpha=0.35, linewidths=0)
            path_mean = pd.concat([start, rows]).groupby("epoch")[["forget_leakage", "retain_accuracy"]].mean()
            axis.plot(path_mean["forget_leakage"], path_mean["retain_accuracy"], "o-", ms=3, color=colour, label=name)
        axis.scatter(
            never["forget_leakage"], never["retain_accuracy"], marker="*", s=110, color="0.25", label="never saw them"
        )
        axis.set(xlabel="forget leakage (lower is better)", title=title, xlim=(1.03, -0.03), ylim=(-0.03, 1.03))
        axis.grid(alpha=0.25)
        axis.legend(loc="lower left", frameon=False)
    axes[0].set_ylabel("retain accuracy (higher is better)")
    figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)


def _counted(rows: pd.DataFrame) -> pd.Series | None:
    last = rows.iloc[-1]
    if last["setting"] in REFERENCES or "retain" in str(last["setting"]):
        return last
    reached = rows[rows["forget_leakage"] <= LEAKAGE]
    return None if reached.empty else reached.iloc[0]


def _cell(rows: pd.DataFrame, name: str) -> str:
    values = rows[name].dropna() if name in rows else pd.Series(dtype=float)
    if values.empty or (name == "verdict" and len(values) < len(rows)):
        return "–"
    if name == "verdict":
        return f"{(values == 'pass').sum()} of {len(values)}"
    if name == "epoch":
        return "–" if values.max() == 0 else f"{values.mean():.1f}"
    spread = f" ({values.min():.2f}–{values.max():.2f})" if len(values) > 1 else ""
    return f"{values.mean():.2f}{spread}"
