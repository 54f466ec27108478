"""CLEAR's own protocol: captions, face recognition, real faces, real world and text alone, and the model's utility."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from viker.metrics.base.aggregate import summary
from viker.metrics.base.metric import FORGOTTEN, Better, Metric
from viker.metrics.base.statistics import exp
from viker.metrics.truth_ratio import closer_to_1, true_better

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
AMONG_OPTIONS = ("forget_recognition", "retain_recognition", "real_faces", "real_world")
"""The tasks whose probability is the right answer's share among the options."""
UTILITY = ("retain_captions", "retain_recognition", "real_faces", "real_world")
"""The tasks of model utility."""
PARTS = ("probability", "rouge_l_recall", "truth_ratio")


def clear_protocol(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the figures of each task of CLEAR, and ``model_utility``, from one model's table of replies.

    ``loss``: mean negative log-likelihood per token of the answer, nats; ``probability``: exp(-loss), on face
    recognition and the real sets the right answer's share among the options; ``rouge_1_recall`` and ``rouge_l_recall``
    of the greedy reply; ``truth_ratio``: see ``task_ratios``, on forget min(r, 1/r), elsewhere max(0, 1 - r), which is
    higher where the truth is known. All 0..1 but the loss. Each with its counts and its intervals by person.

    Source: CLEAR, ``calculate_metrics``.
    """
    import pandas as pd

    result: dict[str, Any] = {}
    for name, (split, task, people) in TASKS.items():
        part = rows[(rows["split"] == split) & (rows["task"] == task)]
        part = part[part["person_id"].astype(str).str.startswith(people)]
        of_ratio = closer_to_1 if split == "forget" else true_better
        columns = {
            "loss": -part["log_likelihood"].astype(float),
            "probability": part["normalised_probability" if name in AMONG_OPTIONS else "probability"].astype(float),
            "rouge_1_recall": part["rouge_1_recall"].astype(float),
            "rouge_l_recall": part["rouge_l_recall"].astype(float),
            "truth_ratio": task_ratios(part).map(of_ratio, na_action="ignore"),
        }
        people_of = part["person_id"]
        values = {key: pd.DataFrame({"person_id": people_of, "value": column}) for key, column in columns.items()}
        result[name] = summary(values, seed) | {"samples": len(part)}
    return result | {"model_utility": model_utility([result[name][key] for name in UTILITY for key in PARTS])}


def task_ratios(rows: pd.DataFrame) -> pd.Series:
    """Return each row's truth ratio as CLEAR's published code has it; NaN where a row has no wrong answers.

    It is exp(mean log-likelihood of the wrong answers of *all rows of the task* - that of the row's paraphrased right
    answer), nats per token; TOFU, from which it is taken, has the wrong answers of the row itself there. Source: CLEAR.
    """
    right, wrong = (-rows[column].astype(float) for column in ("paraphrased_loss", "perturbed_loss"))
    return (wrong.mean() - right).map(exp, na_action="ignore")


def model_utility(figures: Sequence[float | None]) -> float | None:
    """Return the harmonic mean of ``figures``, 0..1: 0 if one is 0, None if one is missing.

    They are probability, ROUGE-L recall and truth ratio over retain captions, retain face recognition, real faces and
    real world. Source: TOFU, as CLEAR has it.
    """
    from scipy.stats import hmean

    present = [figure for figure in figures if figure is not None]
    return float(hmean(present)) if len(present) == len(figures) else None


MODEL_UTILITY = Metric(
    name="model_utility",
    meaning="harmonic mean of probability, ROUGE-L recall and truth ratio over retain captions, retain face "
    "recognition, real faces and real world",
    source="TOFU, as CLEAR has it",
    better=Better(forget=None, retain="higher"),
    computed_from="likelihoods",
    unit="score",
    blocks=("clear",),
    in_predictions=False,
    order=120,
)
PARAPHRASED_LOSS = Metric(
    name="paraphrased_loss",
    meaning="mean negative log-likelihood per token of the right answer that the wrong ones are compared with, its "
    "first paraphrase if there is one; CLEAR's truth ratio is made from it",
    source="CLEAR",
    better=Better(forget="higher", retain="lower"),
    computed_from="likelihoods",
    range=(0.0, math.inf),
    unit="nats per token",
    blocks=("clear",),
    of_reply=lambda reply: -reply.right if reply.right is not None else None,
    in_predictions=False,
    order=121,
)
PERTURBED_LOSS = Metric(
    name="perturbed_loss",
    meaning="the same of the wrong answers, a mean over them",
    source="CLEAR",
    better=FORGOTTEN,
    computed_from="likelihoods",
    range=(0.0, math.inf),
    unit="nats per token",
    blocks=("clear",),
    of_reply=lambda reply: -math.fsum(reply.wrong) / len(reply.wrong) if reply.wrong else None,
    in_predictions=False,
    order=122,
)
