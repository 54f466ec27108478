"""From replies to the metrics of one model: a row a question, a mean a metric."""

import math
from typing import Any

import pandas as pd

from components.common.records import OPEN_TASKS, SPLITS


def measure(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the metrics of one model from its rows (see ``run.ask``): each split's, and ``fluency`` over all.

    Rates and scores are means in 0..1, None where there is nothing to measure. ``perplexity`` is exp of the mean
    negative log-likelihood a token that the vanilla model, shown an irrelevant image, gives the replies.
    """
    measured: dict[str, Any] = {}
    for split in SPLITS:
        part = rows[rows["split"] == split]
        seen, read = part[part["modality"] == "image_text"], part[part["modality"] == "text"]
        spoken = seen[seen["task"].isin(OPEN_TASKS)]
        measured[split] = _shared(seen) | {
            **{name: mean(spoken[name]) for name in ("rouge_1", "rouge_2", "bleu", "truth_ratio")},
            "samples": len(part),
            "people": int(part["person_id"].nunique()),
            "text_only": _shared(read),
        }
    spoken = rows[rows["task"].isin(OPEN_TASKS)]
    surprise = mean(spoken["surprise"])
    measured["fluency"] = {
        "gibberish_rate": mean(spoken["gibberish"]),
        "repetition": mean(spoken["repetition"]),
        "perplexity": None if surprise is None else math.exp(surprise),
    }
    return measured


def mean(values: "pd.Series[Any]") -> float | None:
    """Return the mean of the values that are there, or None."""
    there = values.dropna()
    return float(there.astype(float).mean()) if len(there) else None


def _shared(part: pd.DataFrame) -> dict[str, float | None]:
    spoken = part[part["task"].isin(OPEN_TASKS)]
    return {
        "leakage_rate": mean(spoken["leaked"]),
        "rouge_l": mean(spoken["rouge_l"]),
        "classification_accuracy": mean(part[part["task"] == "classification"]["correct"]),
        "cloze_accuracy": mean(part[part["task"] == "cloze"]["correct"]),
    }
