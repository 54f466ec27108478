"""CLEAR's own tasks and figures: captions, face recognition, real faces, real world and text alone."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from scipy.stats import hmean

from viker.metrics.aggregate import summary

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
"""Of each task its split, its records' task, and how their people's names begin."""
UTILITY = ("retain_captions", "real_faces", "real_world")
"""The tasks of model utility."""
PARTS = ("probability", "rouge_l_recall", "truth_ratio")


def clear(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return for each task of CLEAR its figures, and ``model_utility``, from one model's rows (see ``rows.row``).

    ``loss``: mean negative log-likelihood a token of the answer, nats; ``probability``: exp(-loss), on the real sets
    the right answer's share among the options; ``rouge_1_recall`` and ``rouge_l_recall`` of the greedy reply;
    ``truth_ratio``: on forget as it is, elsewhere max(0, 1 - ratio), which is higher where the truth is known.
    All 0..1 but loss and forget's ratio. Each with its counts and its intervals by person.
    """
    found: dict[str, Any] = {}
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
        named = {
            key: pd.DataFrame({"person_id": part["person_id"], "value": column}) for key, column in columns.items()
        }
        found[name] = summary(named, seed) | {"samples": len(part)}
    return found | {"model_utility": model_utility([found[name][key] for name in UTILITY for key in PARTS])}


def model_utility(figures: Sequence[float | None]) -> float | None:
    """Return the harmonic mean of ``figures``, 0..1, higher is better: 0 if one is 0, None if one is missing.

    They are probability, ROUGE-L recall and truth ratio over retain captions, real faces and real world. Source: TOFU,
    as CLEAR has it.
    """
    there = [figure for figure in figures if figure is not None]
    return float(hmean(there)) if len(there) == len(figures) else None
