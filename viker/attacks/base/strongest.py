"""The attack that got most out of a model."""

from collections.abc import Mapping
from typing import Any


def strongest(blocks: Mapping[str, Any]) -> tuple[str, float, int] | None:
    """Return name and leakage above guessing of the strongest attack, and how many were made; None where none was.

    ``blocks``: the block ``attacks`` of a model in metrics/evaluate.json.
    """
    rates = {name: block.get("above_chance") for name, block in blocks.items() if isinstance(block, Mapping)}
    made = {name: float(rate) for name, rate in rates.items() if isinstance(rate, int | float) and rate == rate}
    if not made:
        return None
    name = max(made, key=lambda one: made[one])
    return name, made[name], len(made)


def in_words(blocks: Mapping[str, Any]) -> str:
    """Return the same as a phrase, such as "14 made; strongest: typographic, 0.03 above guessing"."""
    most = strongest(blocks)
    return f"{most[2]} made; strongest: {most[0]}, {most[1]:.2f} above guessing" if most else "none made"
