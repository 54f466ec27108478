"""The table at equal forgetting with intervals by person, and the frontiers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

LEVELS = (("span", 0.50), ("span", 0.30), ("span", 0.10), ("leak", 0.05))
"""What is forgotten alike where methods are compared: span accuracy, and replies that leak."""
KEPT = {"kept_span": "Retained people's private tokens", "kept": "Replies about retained people with the value"}
"""What of the retained people is compared, and its heading."""
DRAWS = 2000
Run = Mapping[str, Any]
"""Of one setting and seed: ``points`` and ``relearnt``, see ``measure.measure``."""


def at_level(points: Sequence[Mapping[str, Any]], measure: str, level: float) -> dict[str, Any] | None:
    """Return a run's numbers where ``measure`` first falls to ``level``, linear between two points; None: it doesn't.

    ``kept_span`` and ``kept`` stay by person.
    """
    place = next((n for n, point in enumerate(points) if point[measure] <= level), None)
    if place is None:
        return None
    after, before = points[place], points[max(place - 1, 0)]
    share = 1.0 if place == 0 else (before[measure] - level) / (before[measure] - after[measure])

    def between(name: str) -> Any:
        first, second = before[name], after[name]
        if isinstance(first, Mapping):
            return {person: first[person] + share * (second[person] - first[person]) for person in first}
        return first + share * (second - first)

    return {name: between(name) for name in after}


def by_person(runs: Mapping[int, Run], measure: str, level: float, what: str) -> dict[tuple[int, str], float] | None:
    """Return ``what`` was kept at a level by seed and person; None where a seed doesn't get there."""
    found: dict[tuple[int, str], float] = {}
    for seed, run in runs.items():
        there = at_level(run["points"], measure, level)
        if there is None:
            return None
        found |= {(seed, person): value for person, value in there[what].items()}
    return found


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of values, one per person and seed."""
    drawn = np.random.default_rng(seed).choice(np.array(values), (DRAWS, len(values)))
    low, high = np.quantile(drawn.mean(1), [0.025, 0.975])
    return float(low), float(high)


def table(results: Mapping[str, Mapping[int, Run]], what: str = "kept_span") -> str:
    """Return the Markdown table: what each setting keeps at every level, and its last point; best first.

    ``results``: by setting, by seed.
    """
    head = ["method", *(_level(*level) for level in LEVELS), "fluent", "false facts", "relearnt", "steps", "seconds"]
    rows = []
    for setting, runs in results.items():
        cells, order = [setting], []
        for measure, level in LEVELS:
            kept = by_person(runs, measure, level, what)
            order.append(-1.0 if kept is None else float(np.mean(list(kept.values()))))
            low, high = interval(list(kept.values())) if kept else (0.0, 0.0)
            cells.append(f"{order[-1]:.2f} [{low:.2f}, {high:.2f}]" if kept else "–")
        last = [run["points"][-1] | {"relearnt": run["relearnt"]} for run in runs.values()]
        means = {
            name: np.mean([one[name] for one in last]) for name in ("fluent", "false", "relearnt", "step", "seconds")
        }
        cells += [f"{means[name]:.2f}" for name in ("fluent", "false", "relearnt")]
        cells += [f"{means[name]:.0f}" for name in ("step", "seconds")]
        rows.append((order[2], f"| {' | '.join(cells)} |"))
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(row for _, row in sorted(rows, key=lambda one: -one[0]))]) + "\n"


def fluency(results: Mapping[str, Mapping[int, Run]]) -> str:
    """Return the Markdown table of replies about the forgotten people at every level: fluent, with false facts.

    Shares, means over the seeds; ``results``: by setting, by seed.
    """
    head = ["method", *(f"{_level(*level)}: fluent, false" for level in LEVELS)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for setting, runs in results.items():
        cells = [setting]
        for measure, level in LEVELS:
            there = [at_level(run["points"], measure, level) for run in runs.values()]
            reached = [one for one in there if one is not None]
            means = [float(np.mean([one[name] for one in reached])) for name in ("fluent", "false") if reached]
            cells.append(", ".join(f"{mean:.2f}" for mean in means) if len(reached) == len(there) else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def versus(results: Mapping[str, Mapping[int, Run]], what: str = "kept_span") -> str:
    """Return a table by level: the best setting of ours, the best baseline, and the paired difference by person."""
    lines = ["| forgotten alike | best of ours | best baseline | difference, 95 % |", "|---|---|---|---|"]
    for measure, level in LEVELS:
        kept = {name: found for name, runs in results.items() if (found := by_person(runs, measure, level, what))}
        means = {name: float(np.mean(list(found.values()))) for name, found in kept.items()}
        ours, others = ([n for n in means if n.startswith("ViKeR") == own] for own in (True, False))
        if not ours or not others:
            lines.append(f"| {measure} {level:.2f} | – | – | – |")
            continue
        best, second = (max(names, key=means.__getitem__) for names in (ours, others))
        shared = kept[best].keys() & kept[second].keys()
        differences = [kept[best][one] - kept[second][one] for one in sorted(shared)]
        low, high = interval(differences)
        cells = (f"{name}, {means[name]:.2f}" for name in (best, second))
        lines.append(
            f"| {measure} {level:.2f} | {' | '.join(cells)} | {np.mean(differences):+.2f} [{low:+.2f}, {high:+.2f}] |"
        )
    return "\n".join(lines) + "\n"


def frontier(results: Mapping[str, Mapping[int, Run]], path: Path) -> None:
    """Plot what is kept over what is forgotten: a line per setting and seed, dashed for baselines."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", sharey=True)
    families = sorted({_family(name) for name in results})
    ours = [family for family in families if family.startswith("ViKeR")]
    others = [family for family in families if family not in ours]
    colours = dict(zip(ours, mpl.color_sequences["Dark2"], strict=False))
    colours |= dict(zip(others, mpl.color_sequences["tab10"], strict=False))
    for name, runs in results.items():
        one = axes[int(name.endswith("on retain"))]
        for run in runs.values():
            x = [point["span"] for point in run["points"]]
            y = [float(np.mean(list(point["kept_span"].values()))) for point in run["points"]]
            dashed = "-" if name.startswith("ViKeR") else "--"
            one.plot(x, y, dashed, color=colours[_family(name)], linewidth=1.3 if dashed == "-" else 1, alpha=0.8)
    for one, title in zip(axes, ("without a retain term", "KL on retain"), strict=True):
        one.set(title=title, xlabel="span accuracy on forget (lower is better)", xlim=(1.03, -0.03), ylim=(-0.03, 1.03))
        one.grid(alpha=0.2)
    axes[0].set_ylabel("span accuracy on retain (higher is better)")
    handles = [plt.Line2D([], [], color=colours[f], linestyle="-" if f.startswith("ViKeR") else "--") for f in families]
    figure.legend(handles, families, loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)


def _level(measure: str, level: float) -> str:
    return f"{'span accuracy' if measure == 'span' else 'leak'} {level:.2f}"


def _family(name: str) -> str:
    """Return a setting's name without lambda and retain term."""
    return name.removesuffix(", KL on retain").split(", λ")[0]
