"""CLEAR's own protocol: captions, face recognition, real faces, real world and text alone, and the model's utility."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from viker.metrics.base.aggregate import summary
from viker.metrics.base.metric import Better, Metric

if TYPE_CHECKING:
    import pandas as pd

TASKS = {
    "forget_captions": ("forget", "caption", ""),
    "forget_recognition": ("forget", "recognition", ""),
    "forget_text": ("forget", "generation", ""),
    "retain_captions": ("retain", "caption", ""),
    "retain_recognition": ("retain", "recognition", ""),
    "retain_text": ("retain", "generation", ""),
    "real_faces": ("real", "generation", "real_faces/"),
    "real_world": ("real", "generation", "real_world"),
}
"""Of each task its split, its records' task, and how its people's IDs begin."""
UTILITY = ("retain_captions", "real_faces", "real_world")
"""The tasks of model utility."""
PARTS = ("probability", "rouge_l_recall", "truth_ratio")


def clear_protocol(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the figures of each task of CLEAR, and ``model_utility``, from one model's table of replies.

    ``loss``: mean negative log-likelihood per token of the answer, nats; ``probability``: exp(-loss), on the real sets
    the right answer's share among the options; ``rouge_1_recall`` and ``rouge_l_recall`` of the greedy reply;
    ``truth_ratio``: on forget as it is, elsewhere max(0, 1 - ratio), which is higher where the truth is known.
    All 0..1 but loss and forget's ratio. Each with its counts and its intervals by person. Source: CLEAR.
    """
    import pandas as pd

    result: dict[str, Any] = {}
    for name, (split, task, people) in TASKS.items():
        part = rows[(rows["split"] == split) & (rows["task"] == task)]
        part = part[part["person_id"].astype(str).str.startswith(people)]
        ratio = part["truth_ratio"].astype(float)
        columns = {
            "loss": -part["log_likelihood"].astype(float),
            "probability": part["normalised_probability" if split == "real" else "probability"].astype(float),
            "rouge_1_recall": part["rouge_1_recall"].astype(float),
            "rouge_l_recall": part["rouge_l_recall"].astype(float),
            "truth_ratio": ratio if split == "forget" else (1 - ratio).clip(lower=0),
        }
        people_of = part["person_id"]
        values = {key: pd.DataFrame({"person_id": people_of, "value": column}) for key, column in columns.items()}
        result[name] = summary(values, seed) | {"samples": len(part)}
    return result | {"model_utility": model_utility([result[name][key] for name in UTILITY for key in PARTS])}


def model_utility(figures: Sequence[float | None]) -> float | None:
    """Return the harmonic mean of ``figures``, 0..1: 0 if one is 0, None if one is missing.

    They are probability, ROUGE-L recall and truth ratio over retain captions, real faces and real world. Source: TOFU,
    as CLEAR has it.
    """
    from scipy.stats import hmean

    present = [figure for figure in figures if figure is not None]
    return float(hmean(present)) if len(present) == len(figures) else None


MODEL_UTILITY = Metric(
    name="model_utility",
    meaning="harmonic mean of probability, ROUGE-L recall and truth ratio over retain captions, real faces and real "
    "world",
    source="TOFU, as CLEAR has it",
    better=Better(forget=None, retain="higher"),
    computed_from="likelihoods",
    unit="score",
    blocks=("clear",),
    in_predictions=False,
    order=120,
)
