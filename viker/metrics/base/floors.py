"""Private tokens and values that the loss of unlearning can't bring below .5, counted for its summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

HIGH = 0.5
"""With all its tokens' floors above this, a private value stays the likeliest answer: it is warned of."""
COLUMNS = ["record_id", "person_id", "question", "value", "position", "token", "teacher", "floor", "vanilla", "kl"]
"""Of private_tokens.parquet, a row per token of a private value: see ``viker.training.private_tokens``."""


def spans_of_values(answer: str, values: Sequence[str]) -> list[tuple[int, int]]:
    """Return for each mention of a value in an answer where it begins and ends, whatever case and spacing."""
    patterns = [r"\s+".join(map(re.escape, value.split())) for value in values if value.strip()]
    return [found.span() for one in patterns for found in re.finditer(one, answer, re.IGNORECASE)]


def kept_values(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per private value: ``record_id``, ``person_id``, ``question``, the tokens' mean ``teacher``,
    ``first_kept``, whether the floor of its first token is above ``HIGH``, and ``kept``, whether those of all are.

    A token behind the value's first may be certain by spelling alone, whoever is asked about: it tells nothing.
    """
    whose = ["record_id", "person_id", "question", "value"]
    of_value = rows.groupby(whose, sort=False)
    values = of_value.agg(teacher=("teacher", "mean"), first=("floor", "first"), lowest=("floor", "min")).reset_index()
    return values.assign(first_kept=values["first"] > HIGH, kept=values["lowest"] > HIGH)


def summarised(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of the rows (``COLUMNS``) for the run's summary: counts, and means over the tokens."""
    values = kept_values(rows)
    means = {f"mean_{name}": float(rows[name].mean()) for name in ("teacher", "vanilla", "floor", "kl")}
    return {
        "values": len(values),
        "values_kept": int(values["kept"].sum()),
        "first_tokens_kept": int(values["first_kept"].sum()),
        "people_with_values_kept": int(values.loc[values["kept"], "person_id"].nunique()),
        "tokens": len(rows),
        "tokens_kept": int((rows["floor"] > HIGH).sum()),
        **(means if len(rows) else {}),
    }
