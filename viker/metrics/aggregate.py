"""From rows to the metrics of a model, with counts and intervals, and to the differences between two models."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from viker.data.records import OPEN_TASKS, SPLITS, UNSEEN
from viker.metrics.membership import membership
from viker.metrics.statistics import interval, mean

OPEN = {
    "leakage_rate": "leaked",
    "fuzzy_leakage_rate": "fuzzy_leaked",
    **{name: name for name in ("rouge_1", "rouge_2", "rouge_l", "rouge_l_recall", "bleu")},
    "truth_ratio": "truth_ratio",
    "probability": "probability",
    "extraction_strength": "extraction_strength",
    "refusal_rate": "refused",
    "gibberish_rate": "gibberish",
}
"""Metrics of open questions, and the column that each is the mean of."""
CHOICES = {"classification_accuracy": "classification", "cloze_accuracy": "cloze"}
"""Accuracies, and the task of each."""
FLUENCY = ("gibberish", "repetition", "distinct_2", "surprise")
Values = Mapping[str, "pd.DataFrame"]
"""For each metric the numbers it is the mean of: columns person_id and value, in the order of the rows."""


def measure(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the metrics of one model from its rows (see ``rows.row``): each split's, ``fluency`` and ``membership``.

    A split's metrics are of questions with a picture, those of ``text_only`` of questions without. Rates and scores are
    means, None where there is nothing to measure; ``counts`` says of how many rows each is the mean (of people:
    ``people_leaked_rate``), ``intervals`` its 95 % interval by person. A person counts as leaked if any reply leaks.
    ``perplexity`` is exp of the mean ``surprise`` of the replies.
    """
    found: dict[str, Any] = {}
    for split in SPLITS:
        part = rows[rows["split"] == split]
        seen, read = (part[part["modality"] == modality] for modality in ("image_text", "text"))
        numbers = {"samples": len(part), "people": int(part["person_id"].nunique())}
        found[split] = summary(values(seen), seed) | numbers | {"text_only": summary(values(read), seed)}
    spoken = rows[rows["task"].isin(OPEN_TASKS)]
    asked = spoken[spoken["split"] != UNSEEN]
    fluency = summary({name: _numbers(asked, name) for name in FLUENCY}, seed)
    for where in (fluency, fluency["intervals"], fluency["counts"]):
        where["gibberish_rate"], where["perplexity"] = where.pop("gibberish"), where.pop("surprise")
    if fluency["perplexity"] is not None:
        fluency["perplexity"] = math.exp(fluency["perplexity"])
        fluency["intervals"]["perplexity"] = [math.exp(bound) for bound in fluency["intervals"]["perplexity"]]
    members, strangers = (spoken[spoken["split"] == split] for split in ("forget", UNSEEN))
    return found | {"fluency": fluency, "membership": membership(members, strangers)}


def differences(vanilla: pd.DataFrame, unlearned: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return unlearned - vanilla of each split's metrics, of questions with a picture: ``value``, ``low``, ``high``.

    Paired: each reply is held against the other model's to the same question, and people are drawn. None where there is
    nothing to measure.

    Args:
        vanilla: rows, see ``rows.row``.
        unlearned: the other model's, in the same order.
    """
    found: dict[str, Any] = {}
    for split in SPLITS:
        before, after = (
            values(rows[(rows["split"] == split) & (rows["modality"] == "image_text")]) for rows in (vanilla, unlearned)
        )
        found[split] = {}
        for name, first in before.items():
            change = after[name].assign(value=after[name]["value"] - first["value"]).dropna()
            bounds = interval(change["value"].tolist(), change["person_id"].tolist(), seed)
            low, high = bounds or (None, None)
            found[split][name] = {"value": mean(change["value"].tolist()), "low": low, "high": high}
    return found


def values(part: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return what each metric of a split is the mean of; NaN where a row has no such number."""
    spoken = part[part["task"].isin(OPEN_TASKS)]
    found = {name: _numbers(spoken, column) for name, column in OPEN.items()}
    found["people_leaked_rate"] = found["leakage_rate"].groupby("person_id").max().reset_index()
    return found | {name: _numbers(part[part["task"] == task], "correct") for name, task in CHOICES.items()}


def summary(metrics: Values, seed: int) -> dict[str, Any]:
    """Return the mean of each metric, and in ``counts`` and ``intervals`` what they rest on."""
    found: dict[str, Any] = {"counts": {}, "intervals": {}}
    for name, numbers in metrics.items():
        there = numbers.dropna(subset="value")
        found[name] = mean(there["value"].tolist())
        found["counts"][name] = len(there)
        found["intervals"][name] = interval(there["value"].tolist(), there["person_id"].tolist(), seed)
    return found


def _numbers(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"person_id": rows["person_id"].astype(str), "value": pd.to_numeric(rows[column].astype("object"))}
    ).astype({"value": float})
