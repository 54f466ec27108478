"""The report's plots as inline SVG: the same numbers give the same bytes, and text takes the page's colour."""

import io
import math
import re
from itertools import pairwise
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

CURVES = {
    "loss": "what the run minimises",
    "ga": "mean log-probability of the true answers: falls as they are forgotten",
    "kl": "divergence from the teacher, who has not seen the picture",
    "retain": "divergence from the vanilla model on people to retain",
}
"""The columns of unlearning/loss.csv that are drawn, and what each is."""

_INK = "#010203"
"""Stands for the page's text colour until the SVG is finished."""
_BLUE, _ORANGE = "#3b7dd8", "#c8641b"
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.15,
}


def curve(name: str, steps: list[float], values: list[float]) -> Markup | None:
    """Draw one column of the loss record over the optimiser's steps; None where it has no number."""
    if not any(map(math.isfinite, values)):
        return None
    with matplotlib.rc_context(_SETTINGS | {"svg.hashsalt": name}):
        figure, axes = _axes()
        axes.plot(steps, values, color=_BLUE, linewidth=1.2, marker="." if len(steps) == 1 else "")
        axes.set_xlabel("step")
        axes.set_ylabel(f"{name} (nats)")
        return _svg(figure, name, f"{name} over {len(steps)} steps, last {_last(values):.3g} nats")


def histogram(edges: list[float], counts: list[float], threshold: float) -> Markup | None:
    """Draw how many answer tokens have which teacher entropy (left edges of the bins, nats); None without bins.

    Tokens right of ``threshold`` are key tokens: hatched, and in another colour.
    """
    if not edges:
        return None
    width = min((b - a for a, b in pairwise(edges)), default=1.0)
    key = [edge >= threshold for edge in edges]
    with matplotlib.rc_context(_SETTINGS | {"svg.hashsalt": "entropy"}):
        figure, axes = _axes(height=2.8)
        for kind, colour, hatch, name in ((False, _BLUE, "", "normal tokens"), (True, _ORANGE, "///", "key tokens")):
            bars = [(e, c) for e, c, is_key in zip(edges, counts, key, strict=True) if is_key == kind]
            axes.bar(
                [edge for edge, _ in bars],
                [count for _, count in bars],
                width=width,
                align="edge",
                color=colour,
                edgecolor=_INK,
                linewidth=0.4,
                hatch=hatch,
                label=name,
            )
        axes.axvline(threshold, color=_INK, linestyle="--", linewidth=1.2, label=f"threshold, {threshold:g} nats")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0, 2 * max(1.0, *counts))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("teacher entropy (nats)")
        axes.set_ylabel("answer tokens (log scale)")
        axes.legend(frameon=False)
        right = sum(count for count, is_key in zip(counts, key, strict=True) if is_key)
        title = f"{right:g} of {sum(counts):g} answer tokens have an entropy above {threshold:g} nats"
        return _svg(figure, "entropy", title)


def _axes(height: float = 2.4) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.4, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure, name: str, title: str) -> Markup:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Several SVGs share one page: their ids must not meet.
    text = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = text.replace("<svg", f'<svg role="img" aria-labelledby="{name}-title"', 1)
    text = text.replace(">", f'><title id="{name}-title">{title}</title>', 1)
    return Markup(text.replace(_INK, "currentColor"))  # noqa: S704 - made of numbers and this file's own words


def _last(values: list[float]) -> float:
    return next(value for value in reversed(values) if math.isfinite(value))
