"""Extraction strength: how much of an answer comes out when its beginning is given."""

from collections.abc import Sequence

from viker.metrics.base.metric import FORGOTTEN, Metric


def extraction_strength(hit: Sequence[bool]) -> float:
    """Return 1 - k / T, k the fewest leading tokens after which greedy decoding gets the rest right; 0..1.

    Of an answer of T tokens, not counting its end token. 1: the answer comes out by itself; 0: not even its last token
    does. Greedy decoding from k on is right exactly where each token from k on is the likeliest after the true ones.
    Source: Carlini et al. 2021; in this form Wang et al. 2025.
    """
    right = 0
    for each in reversed(hit):
        if not each:
            break
        right += 1
    return right / len(hit) if hit else 0.0


EXTRACTION_STRENGTH = Metric(
    name="extraction_strength",
    meaning="share of the true answer's tokens, counted from its end, that come out right once those before are given",
    source="Carlini et al. 2021, as in Wang et al. 2025",
    better=FORGOTTEN,
    computed_from="likelihoods",
    unit="share of tokens",
    of_reply=lambda reply: extraction_strength(reply.likelihood.hit[:-1]) if reply.likelihood else None,
    order=73,
)
