"""Matplotlib's figures as inline SVG: the same numbers give the same bytes, and text takes the page's colour."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BEFORE, AFTER, KEY, LIMIT = "#7a8794", "#0f8a80", "#c8641b", "#b5485a"
"""The vanilla model, the unlearned one, key tokens, the gate's limits: each at least 3 : 1 on white and on dark."""
INK = "#010203"
"""Stands for the page's text colour until the SVG is finished."""
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@contextmanager
def drawing(name: str, height: float = 2.8) -> Iterator[tuple[Figure, Axes]]:
    """Yield a transparent figure of 4.4 inches' width with its axes; ``name`` seeds the SVG's ids."""
    with matplotlib.rc_context(_SETTINGS | {"svg.hashsalt": name}):
        figure = Figure(figsize=(4.4, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        yield figure, axes


def as_svg(figure: Figure, name: str, title: str) -> Markup:
    """Return the figure as an SVG element that is read out as ``title``; inside ``drawing``.

    ``name`` and ``title`` are this project's own words and numbers.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Several SVGs share one page: their ids must differ.
    text = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = text.replace("<svg", f'<svg role="img" aria-labelledby="{name}-title"', 1)
    text = text.replace(">", f'><title id="{name}-title">{title}</title>', 1)
    return Markup(text.replace(INK, "currentColor"))  # noqa: S704 - made of numbers and this project's own words
