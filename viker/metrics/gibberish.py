"""Gibberish: replies that are no language, or stranger than anything the data holds for true."""

import re

from viker.metrics.base.metric import HIGHER, LOWER, Metric
from viker.metrics.base.reply import Reply
from viker.metrics.base.word_salad import excess_bits
from viker.metrics.base.words import words_of

_LOOP_WORDS, _LOOP_WORDS_IN_SENTENCE = 4, 8
_LOOP_TIMES = 3
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")


def is_degenerate(reply: str) -> bool:
    """Return whether the reply has no word, or 1 to 4 words come three times in a row, or up to 8 within a sentence.

    A sentence that comes again is repetition, a metric of its own. Source: this project; loops are how Holtzman et al.
    2020 describe degenerate text.
    """
    words = words_of(reply)
    if not words or any(_loops(words, size) for size in range(1, _LOOP_WORDS + 1)):
        return True
    sentences = map(words_of, _SENTENCE_END.split(reply))
    longer = range(_LOOP_WORDS + 1, _LOOP_WORDS_IN_SENTENCE + 1)
    return any(_loops(sentence, size) for sentence in sentences for size in longer)


def is_gibberish(reply: Reply) -> bool:
    """Return whether the reply is degenerate, word salad, or more surprising than every true answer of the data.

    Word salad: its bits per word are above the threshold of ``word_salad``, and above all but 1 in 100 true answers
    of the data, which may be in another language. The surprise is that of the vanilla model, shown an irrelevant image.
    Source: this project.
    """
    if is_degenerate(reply.text) or (reply.surprise or 0.0) > reply.usual.surprise:
        return True
    return excess_bits(reply.text, reply.usual.words) > max(0.0, reply.usual.excess_bits)


def _loops(words: list[str], size: int) -> bool:
    """Whether ``size`` words are the same as those before them often enough in a row."""
    same = 0
    for here, before in zip(words[size:], words, strict=False):
        same = same + 1 if here == before else 0
        if same == size * (_LOOP_TIMES - 1):
            return True
    return False


GIBBERISH_RATE = Metric(
    name="gibberish_rate",
    heading="Gibberish",
    meaning="replies without a word; stuck in a loop of a few words; of words in no order or of no language, by a "
    "model of English sentences (`word_salad.py`); or more surprising to the vanilla model, shown an irrelevant image, "
    "than every true answer of the data",
    source="this project",
    better=LOWER,
    computed_from="likelihoods",
    blocks=("split", "fluency"),
    of_reply=is_gibberish,
    column="gibberish",
    is_flag=True,
    order=81,
)
CLEAN_PROBABILITY = Metric(
    name="clean_probability",
    heading="Clean, by a classifier",
    meaning="mean probability of a clean reply by the classifier that `evaluate.gibberish_classifier` names; "
    "null without",
    source="open-unlearning",
    better=HIGHER,
    computed_from="models",
    unit="probability",
    blocks=("split",),
    of_reply=lambda reply: reply.clean,
    in_predictions=False,
    order=82,
)
