"""BLEU: runs of words that reply and true answer share."""

from viker.metrics.base.metric import FORGOTTEN, Metric


def bleu(reply: str, answer: str) -> float:
    """Return BLEU-4 of the reply, 0..1: shared runs of 1 to 4 words, with a penalty for short replies.

    On whitespace tokens, case as it is, smoothing method 1 of Chen and Cherry 2014. Replies under four words stay far
    below 1 even where they are right. Source: Papineni et al. 2002, with MLLMU-Bench's settings.
    """
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    score = sentence_bleu([answer.split()], reply.split(), smoothing_function=SmoothingFunction().method1)
    return min(1.0, max(0.0, float(score)))


BLEU = Metric(
    name="bleu",
    heading="BLEU",
    meaning="shared runs of 1 to 4 words, whitespace tokens, smoothing method 1",
    source="Papineni et al. 2002",
    better=FORGOTTEN,
    unit="score",
    of_reply=lambda reply: bleu(reply.text, reply.answer),
    order=50,
)
