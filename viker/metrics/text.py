"""Metrics of one reply, from text alone; pure functions."""

import math
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from viker.metrics.leakage import leaks as leaks
from viker.metrics.leakage import normalise as normalise

_ROUGE_KEYS = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
_ROUGE = RougeScorer(list(_ROUGE_KEYS.values()), use_stemmer=True)
_SMOOTHING = SmoothingFunction().method1
# A number with its separators is one word: 1,000,000,000 is no loop of 000.
_WORD = re.compile(r"\w+(?:(?<=\d)[^\w\s](?=\d)\w+)*")
_LOOP_WORDS = 4
_LOOP_TIMES = 3
_REPETITION_WORDS = 3


def rouge(reply: str, answer: str) -> dict[str, float]:
    """Return ``rouge_1``, ``rouge_2`` and ``rouge_l``, F-measures, and ``rouge_1_recall`` and ``rouge_l_recall``, 0..1.

    With Porter stemming. Recall is the share of the answer that the reply has; CLEAR goes by it. F is what reply and
    answer have in common: words, pairs of words, the longest common subsequence. Higher is closer to the answer:
    better on retain and real, worse on forget and test. Case and everything but a-z and 0-9 are ignored, so text in
    other scripts scores 0. Source: Lin 2004; stemming as in MLLMU-Bench's evaluation.
    """
    scores = _ROUGE.score(answer, reply)
    found = {name: float(scores[key].fmeasure) for name, key in _ROUGE_KEYS.items()}
    return found | {f"{name}_recall": float(scores[_ROUGE_KEYS[name]].recall) for name in ("rouge_1", "rouge_l")}


def bleu(reply: str, answer: str) -> float:
    """Return BLEU-4 of the reply, 0..1: shared runs of 1 to 4 words, with a penalty for short replies.

    On whitespace tokens, case as it is, smoothing method 1 of Chen and Cherry 2014. Higher is closer to the
    answer: better on retain and real, worse on forget and test. Replies under four words stay far below 1 even
    where they are right. Source: Papineni et al. 2002, with MLLMU-Bench's settings.
    """
    score = sentence_bleu([answer.split()], reply.split(), smoothing_function=_SMOOTHING)
    return min(1.0, max(0.0, float(score)))


def classification_correct(reply: str, letter: str) -> bool:
    """Return whether the reply picks the option ``letter``: its first character, upper-cased.

    A reply that starts with no letter is wrong, not missing. Its mean is ``classification_accuracy``, 0..1: lower
    is better on forget and test (guessing among four gives 0.25), higher elsewhere. Source: MLLMU-Bench.
    """
    first = reply.strip()[:1].upper()
    return first.isalpha() and first == letter.strip().upper()


def cloze_correct(reply: str, truth: str) -> bool:
    """Return whether the missing words occur in the reply, whatever their case; an empty truth never does.

    Its mean is ``cloze_accuracy``, 0..1: lower is better on forget and test, higher elsewhere. Source: MLLMU-Bench.
    """
    wanted = truth.strip().casefold()
    return bool(wanted) and wanted in reply.casefold()


def is_degenerate(reply: str) -> bool:
    """Return whether the reply is gibberish: it has no word, or 1 to 4 words come three times in a row.

    Its mean is ``gibberish_rate``, 0..1: lower is better. Source: this project; loops are how Holtzman et al. 2020
    describe degenerate text.
    """
    words = _words(reply)
    return not words or any(_loops(words, size) for size in range(1, _LOOP_WORDS + 1))


def repetition(reply: str) -> float:
    """Return the share of the reply's 3-grams of words that came before: 1 - distinct / all, 0..1.

    0 where there are fewer than two. Lower is better. Source: seq-rep-n of Welleck et al. 2020, n = 3, on words.
    """
    words = _words(reply)
    grams = list(zip(*(words[start:] for start in range(_REPETITION_WORDS)), strict=False))
    return 1 - len(set(grams)) / len(grams) if len(grams) > 1 else 0.0


def distinct_2(reply: str) -> float | None:
    """Return the share of the reply's pairs of words that are different: distinct / all, 0..1; None without a pair.

    Higher is better; a loop comes near 0. Source: Li et al. 2016, distinct-n, here of each reply.
    """
    words = _words(reply)
    pairs = list(pairwise(words))
    return len(set(pairs)) / len(pairs) if pairs else None


def truth_ratio(right_logprob: float, wrong_logprobs: Sequence[float]) -> float:
    """Return exp(mean over wrong answers of their log-likelihood - that of the right answer), 0 or more.

    Args:
        right_logprob: nats a token, the mean over the tokens of the right answer.
        wrong_logprobs: the same for each wrong answer; order plays no part.

    Below 1 the model holds the truth for likelier than the wrong answers; 1 is not to know. Nearer to 1 is better
    on forget and test, nearer to 0 on retain and real. Source: CLEAR, which reports max(0, 1 - ratio) on the latter;
    it is left as it is here.

    Raises:
        ValueError: there is no wrong answer.
    """
    if not wrong_logprobs:
        raise ValueError("truth ratio: no wrong answer to compare with")
    difference = math.fsum(wrong_logprobs) / len(wrong_logprobs) - right_logprob
    try:
        return math.exp(difference)
    except OverflowError:
        return math.inf


def _words(text: str) -> list[str]:
    found = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return [word for word in found if any(map(str.isalnum, word))]


def _loops(words: list[str], size: int) -> bool:
    """Whether ``size`` words are the same as those before them often enough in a row."""
    same = 0
    for here, before in zip(words[size:], words, strict=False):
        same = same + 1 if here == before else 0
        if same == size * (_LOOP_TIMES - 1):
            return True
    return False
