"""Repetition within a reply: 3-grams that came before, and how many pairs of words are different."""

from itertools import pairwise

from viker.metrics.base.metric import HIGHER, LOWER, Metric
from viker.metrics.base.words import words_of

_GRAM = 3


def repetition(reply: str) -> float:
    """Return the share of the reply's 3-grams of words that came before: 1 - distinct / all, 0..1.

    0 where there are fewer than two. Source: seq-rep-n of Welleck et al. 2020, n = 3, on words.
    """
    words = words_of(reply)
    grams = list(zip(*(words[start:] for start in range(_GRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) if len(grams) > 1 else 0.0


def distinct_2(reply: str) -> float | None:
    """Return the share of the reply's pairs of words that are different: distinct / all, 0..1; None without a pair.

    A loop comes near 0. Source: Li et al. 2016, distinct-n, here of each reply.
    """
    pairs = list(pairwise(words_of(reply)))
    return len(set(pairs)) / len(pairs) if pairs else None


REPETITION = Metric(
    name="repetition",
    meaning="3-grams of words that came before in the same reply",
    source="Welleck et al. 2020",
    better=LOWER,
    unit="share of 3-grams",
    blocks=("fluency",),
    of_reply=lambda reply: repetition(reply.text),
    in_predictions=False,
    order=90,
)
DISTINCT_2 = Metric(
    name="distinct_2",
    heading="Distinct pairs",
    meaning="different pairs of words in a reply, of all its pairs",
    source="Li et al. 2016",
    better=HIGHER,
    unit="share of pairs",
    blocks=("fluency",),
    of_reply=lambda reply: distinct_2(reply.text),
    in_predictions=False,
    order=92,
)
