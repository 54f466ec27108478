"""Membership inference: do the likelihoods tell the people whom the model was trained on from people never seen?"""

import pandas as pd
from sklearn.metrics import roc_auc_score

from viker.metrics.likelihood import Scores, min_k, min_k_plus_plus, zlib_ratio

SIGNS = ("loss", "min_k", "min_k_plus_plus", "zlib")


def signs(scores: Scores, answer: str) -> dict[str, float]:
    """Return what each attack goes by, for one answer: higher speaks for a member."""
    return {
        "loss": scores.log_likelihood,
        "min_k": min_k(scores.log_p),
        "min_k_plus_plus": min_k_plus_plus(scores),
        "zlib": zlib_ratio(scores.log_p, answer),
    }


def membership(members: pd.DataFrame, strangers: pd.DataFrame) -> dict[str, float | None]:
    """Return ``NAME_auc`` of each sign, 0..1: the chance that a member's is higher than a stranger's.

    0.5 is guessing, which is what a model that never saw the people gives; above it is knowledge. Well below it tells
    that the people were unlearned too hard. None where one side is empty. Columns: ``SIGNS``.
    """
    if members.empty or strangers.empty:
        return dict.fromkeys((f"{name}_auc" for name in SIGNS), None)
    truth = [1] * len(members) + [0] * len(strangers)
    return {f"{name}_auc": float(roc_auc_score(truth, pd.concat([members[name], strangers[name]]))) for name in SIGNS}
