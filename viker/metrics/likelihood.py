"""What the likelihoods of an answer's tokens tell; pure."""

import math
import zlib
from collections.abc import Sequence

import numpy as np

from viker.models.scores import Scores as Scores

SHARE = 0.2
"""The share of an answer's least likely tokens that Min-K looks at; 0.2 in its paper."""


def probability(log_likelihood: float) -> float:
    """Return exp(log-likelihood a token): the probability of the answer, normalised by its length, 0..1.

    Lower is better on forget and test, higher on retain and real. Source: TOFU (Maini et al. 2024), as CLEAR has it.
    """
    return math.exp(log_likelihood)


def normalised_probability(right: float, wrong: Sequence[float]) -> float:
    """Return the right answer's share of the probabilities of all options, 0..1, from log-likelihoods a token.

    Higher is better on the real sets. Source: TOFU, as CLEAR has it.
    """
    most = max(right, *wrong)
    return math.exp(right - most) / math.fsum(math.exp(value - most) for value in (right, *wrong))


def extraction_strength(hit: Sequence[bool]) -> float:
    """Return 1 - k / T, k the fewest leading tokens after which the rest comes out right by greedy decoding; 0..1.

    Of an answer of T tokens, its end token not among them. 1: the answer comes out by itself; 0: not even its last
    token does. Greedy decoding from k on is right exactly where each token from k on is the likeliest after the true
    ones. Lower is better on forget and test. Source: Carlini et al. 2021; in this form Wang et al. 2025.
    """
    right = 0
    for each in reversed(hit):
        if not each:
            break
        right += 1
    return right / len(hit) if hit else 0.0


def min_k(log_p: Sequence[float]) -> float:
    """Return the mean log-likelihood of the least likely ``SHARE`` of the tokens, nats; one token at least.

    Higher where a model was trained on the text. Source: Shi et al. 2024, Min-K% Prob.
    """
    return _lowest(log_p)


def min_k_plus_plus(scores: Scores) -> float:
    """Return the mean over the lowest ``SHARE`` of the tokens of (log p - mean) / deviation; one token at least.

    Higher where a model was trained on the text. Source: Zhang et al. 2024, Min-K%++.
    """
    parts = zip(scores.log_p, scores.mean, scores.deviation, strict=True)
    return _lowest([(value - mean) / max(deviation, 1e-6) for value, mean, deviation in parts])


def zlib_ratio(log_p: Sequence[float], answer: str) -> float:
    """Return the log-likelihood of the whole answer over the bytes of its zlib compression, nats a byte, at most 0.

    Higher where a model was trained on the text. Source: Carlini et al. 2021.
    """
    return math.fsum(log_p) / len(zlib.compress(answer.encode()))


def _lowest(values: Sequence[float]) -> float:
    count = max(1, int(SHARE * len(values)))
    return float(np.mean(np.sort(np.asarray(values))[:count]))
