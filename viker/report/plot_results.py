"""Plots of the results: what is still told about people to forget and to retain, and leakage under each attack."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from viker.evidence.seal import protocol_of
from viker.gate.rules import finite, look_up
from viker.report.formatting import interval
from viker.report.svg import AFTER, BEFORE, INK, LIMIT, as_svg, drawing
from viker.report.tables import attack_heading

_FORGET, _RETAIN = "forget.leakage_rate", "retain.leakage_rate"
_STYLES = {"vanilla": (BEFORE, "s"), "unlearned": (AFTER, "o")}


def frontier(
    metrics: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]
) -> Markup | None:
    """Draw the leakage on people to retain over that on people to forget, 0..1 each.

    Vanilla and unlearned with their intervals, the gate's limits on the two, and the unlearned models of earlier
    runs. None if neither model was measured.
    """
    points = {model: _point(metrics, model) for model in _STYLES}
    if not any(points.values()):
        return None
    with drawing("frontier", 3.4) as (figure, axes):
        _limits(axes, rules)
        for marker, label, same in (("x", "earlier runs", True), ("+", "earlier runs, another protocol", False)):
            runs = [run for run in earlier if (protocol_of(run) == protocol_of(metrics)) is same]
            earlier_points = [point for point in (_point(run, "unlearned") for run in runs) if point]
            if earlier_points:
                x, y = zip(*earlier_points, strict=True)
                axes.scatter(x, y, s=16, c=INK, alpha=0.45, marker=marker, label=label)
        for model, point in points.items():
            if point:
                _cross(axes, metrics, model, point)
        axes.set_xlim(-0.04, 1.04)
        axes.set_ylim(-0.04, 1.04)
        axes.set_xlabel("leakage, people to forget")
        axes.set_ylabel("leakage, people to retain")
        axes.legend(loc="lower center")
        texts = [f"{model}: {p[0]:.2f} of forget, {p[1]:.2f} of retain" for model, p in points.items() if p]
        return as_svg(figure, "frontier", "; ".join(texts))


def attacked(blocks: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Markup | None:
    """Draw the leakage under each attack, vanilla and unlearned, with intervals and what guessing gives.

    ``blocks``: by model, its block ``attacks`` of metrics/evaluate.json; ``names``: the attacks, from top to bottom.
    """
    if not names:
        return None
    with drawing("attacks", 0.9 + 0.34 * len(names)) as (figure, axes):
        for offset, (model, (colour, marker)) in zip((-0.16, 0.16), _STYLES.items(), strict=True):
            for place, name in enumerate(names):
                value = look_up(blocks, f"{model}.{name}.leakage_rate")
                if value is not None:
                    bounds, y = interval(blocks, f"{model}.{name}.leakage_rate"), place + offset
                    if bounds:
                        axes.plot(bounds, [y, y], color=colour, linewidth=1.6, alpha=0.7)
                    axes.plot([value], [y], color=colour, marker=marker, markersize=5)
        guessing = [look_up(blocks, f"unlearned.{name}.chance_rate") for name in names]
        for place, value in enumerate(guessing):
            if value is not None:
                axes.plot([value, value], [place - 0.34, place + 0.34], color=LIMIT, linewidth=1.4)
        for model, (colour, marker) in _STYLES.items():
            axes.plot([], [], color=colour, marker=marker, linestyle="", label=model)
        if any(value is not None for value in guessing):
            axes.plot([], [], color=LIMIT, linewidth=1.4, label="guessing")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), [attack_heading(name) for name in names])
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("leakage under attack")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
        title = f"leakage of both models under {len(names)} attacks; the table has the numbers"
        return as_svg(figure, "attacks", title)


def _cross(axes: Axes, metrics: Mapping[str, Any], model: str, point: tuple[float, float]) -> None:
    colour, marker = _STYLES[model]
    across, along = (interval(metrics, f"{model}.{path}") for path in (_FORGET, _RETAIN))
    if across:
        axes.plot(across, [point[1]] * 2, color=colour, linewidth=1.6)
    if along:
        axes.plot([point[0]] * 2, along, color=colour, linewidth=1.6)
    axes.plot(*([value] for value in point), color=colour, marker=marker, markersize=8, linestyle="", label=model)


def _limits(axes: Axes, rules: Sequence[Mapping[str, Any]]) -> None:
    """Draw where the gate passes: left of its limit on forget, above its limit on retain."""

    def bounds(path: str, operator: str) -> list[float]:
        of_path = (rule for rule in rules if rule.get("metric") == f"unlearned.{path}")
        values = (finite(rule.get("threshold")) for rule in of_path if str(rule.get("operator")).startswith(operator))
        return [value for value in values if value is not None]

    right, floor = min(bounds(_FORGET, "<"), default=None), max(bounds(_RETAIN, ">"), default=None)
    if right is not None:
        axes.axvline(right, color=LIMIT, linestyle="--", linewidth=1.2, label="the gate's limits")
    if floor is not None:
        label = None if right is not None else "the gate's limits"
        axes.axhline(floor, color=LIMIT, linestyle="--", linewidth=1.2, label=label)
    if right is not None and floor is not None:
        axes.fill_between([-0.04, right], floor, 1.04, color=AFTER, alpha=0.13, linewidth=0)


def _point(metrics: Mapping[str, Any], model: str) -> tuple[float, float] | None:
    x, y = (look_up(metrics, f"{model}.{path}") for path in (_FORGET, _RETAIN))
    return None if x is None or y is None else (x, y)
