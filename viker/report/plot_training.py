"""Plots of the training: its loss, and how well the teacher can predict each token."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from viker.report.svg import AFTER, BEFORE, INK, KEY, as_svg, drawing

_SHARED = {
    "loss": "what the run minimises",
    "ga": "mean log-probability of the true answers to forget: falls as they are forgotten",
    "retain": "the retain term on people to retain: kl, divergence from the vanilla model, or nll, negative "
    "log-likelihood of the true answers",
    "hold": "divergence from the adapter that the run started from, on questions about invented people",
    "refusal_nll": "negative log-likelihood of refusals to the questions about people to forget",
}
_OTHER_COLUMNS = ("step", "epoch", "lr", "grad_norm")


def parts(columns: Sequence[str], of_method: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of unlearning/loss.csv that are parts of the loss, and what each measures.

    ``of_method``: what the parts measure that only this method has.
    """
    meaning = {**_SHARED, **of_method}
    return {name: meaning.get(name, "a part of the loss") for name in columns if name not in _OTHER_COLUMNS}


def curve(name: str, steps: Sequence[float], values: Sequence[float]) -> Markup | None:
    """Draw one column of the loss record over the optimiser's steps; None if it has no number."""
    if not any(map(math.isfinite, values)):
        return None
    with drawing(name, 2.2) as (figure, axes):
        axes.plot(steps, values, color=AFTER, linewidth=1.2, marker="." if len(steps) == 1 else "")
        axes.set_xlabel("step")
        axes.set_ylabel(f"{name} (nats)")
        last = next(value for value in reversed(values) if math.isfinite(value))
        return as_svg(figure, name, f"{name} over {len(steps)} steps, last {last:.3g} nats")


def histogram(edges: Sequence[float], counts: Sequence[float], threshold: float | None) -> Markup | None:
    """Draw how many answer tokens have which teacher entropy (left edges of the bins, nats); None without bins.

    Tokens right of ``threshold`` are key tokens: hatched, and in another colour; None: no one threshold tells them.
    """
    if not edges:
        return None
    width = min((b - a for a, b in pairwise(edges)), default=1.0)
    key = [threshold is not None and edge >= threshold for edge in edges]
    with drawing("entropy") as (figure, axes):
        for kind, colour, hatch, name in ((False, BEFORE, "", "normal tokens"), (True, KEY, "///", "key tokens")):
            x, y = ([value for value, is_key in zip(of, key, strict=True) if is_key == kind] for of in (edges, counts))
            style: dict[str, Any] = {"color": colour, "edgecolor": INK, "linewidth": 0.4, "hatch": hatch, "label": name}
            axes.bar(x, y, width=width, align="edge", **style)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linestyle="--", linewidth=1.2, label=f"threshold, {threshold:g} nats")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0, 2 * max(1.0, *counts))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("teacher entropy (nats)")
        axes.set_ylabel("answer tokens (log scale)")
        axes.legend()
        right = sum(count for count, is_key in zip(counts, key, strict=True) if is_key)
        title = f"entropies of {sum(counts):g} answer tokens"
        if threshold is not None:
            title = f"{right:g} of {sum(counts):g} answer tokens have an entropy above {threshold:g} nats"
        return as_svg(figure, "entropy", title)


def weights(entropies: Sequence[float], pressures: Sequence[float], keys: Sequence[bool]) -> Markup | None:
    """Draw one point per token: the pressure of ViKeR's loss on it at lambda = 1, 0..1, over the entropy (nats).

    None without tokens. Source of the pressure, 1 - the teacher's probability of the true token: arXiv 2601.22020.
    """
    points = list(zip(entropies, pressures, keys, strict=True))
    if not points:
        return None
    with drawing("weight") as (figure, axes):
        for kind, colour, marker, name in ((False, BEFORE, "o", "normal tokens"), (True, KEY, "^", "key tokens")):
            x = [entropy for entropy, _, is_key in points if is_key == kind]
            y = [pressure for _, pressure, is_key in points if is_key == kind]
            axes.scatter(x, y, s=14, c=colour, marker=marker, label=name)
        axes.set_ylim(-0.04, 1.04)
        axes.set_xlabel("teacher entropy (nats)")
        axes.set_ylabel("1 − teacher's probability")
        axes.legend(loc="lower right")
        means = {kind: [y for _, y, is_key in points if is_key == kind] for kind in (True, False)}
        texts = [f"{sum(of) / len(of):.2f} on {'key' if k else 'normal'} tokens" for k, of in means.items() if of]
        return as_svg(figure, "weight", f"the mean pressure is {' and '.join(texts)}")
