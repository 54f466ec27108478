"""ROUGE: what reply and true answer have in common."""

from functools import lru_cache
from typing import Any

from viker.metrics.base.metric import FORGOTTEN, Metric

_KEYS = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}


def rouge(reply: str, answer: str) -> dict[str, float]:
    """Return ``rouge_1``, ``rouge_2`` and ``rouge_l``, F-measures, and ``rouge_1_recall`` and ``rouge_l_recall``, 0..1.

    With Porter stemming. F is what reply and answer have in common: words, pairs of words, the longest common
    subsequence. Recall is the share of the answer that the reply has; CLEAR goes by it. Case and everything but a-z and
    0-9 are ignored, so text in other scripts scores 0. Source: Lin 2004; stemming as in MLLMU-Bench's evaluation.
    """
    scores = _scores(reply, answer)
    measures = {name: float(scores[key].fmeasure) for name, key in _KEYS.items()}
    return measures | {f"{name}_recall": float(scores[_KEYS[name]].recall) for name in ("rouge_1", "rouge_l")}


@lru_cache(maxsize=16)
def _scores(reply: str, answer: str) -> Any:
    """Return the scores of one pair; kept for a moment, as several metrics ask for them in turn."""
    return _scorer().score(answer, reply)


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(_KEYS.values()), use_stemmer=True)


def _metric(name: str, heading: str, meaning: str, order: int, **settings: Any) -> Metric:
    return Metric(
        name=name,
        heading=heading,
        meaning=f"{meaning}, stemmed",
        source="Lin 2004",
        better=FORGOTTEN,
        unit="score",
        of_reply=lambda reply: rouge(reply.text, reply.answer)[name],
        order=order,
        **settings,
    )


ROUGE_L = _metric("rouge_l", "ROUGE-L", "F of the longest common subsequence", 40, prominence="summary")
ROUGE_L_RECALL = _metric("rouge_l_recall", "ROUGE-L recall", "recall of the longest common subsequence", 41)
ROUGE_1 = _metric("rouge_1", "ROUGE-1", "F of words in common", 42, in_predictions=False)
ROUGE_2 = _metric("rouge_2", "ROUGE-2", "F of pairs of words in common", 43, in_predictions=False)
ROUGE_1_RECALL = _metric(
    "rouge_1_recall", "ROUGE-1 recall", "recall of words in common", 44, in_predictions=False, blocks=("clear",)
)
