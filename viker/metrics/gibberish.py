"""Gibberish: replies that are no language, or stranger than anything the data holds for true."""

from viker.metrics.base.metric import LOWER, Metric
from viker.metrics.base.reply import Reply
from viker.metrics.base.words import words_of

_LOOP_WORDS = 4
_LOOP_TIMES = 3


def is_degenerate(reply: str) -> bool:
    """Return whether the reply has no word, or 1 to 4 words come three times in a row.

    Source: this project; loops are how Holtzman et al. 2020 describe degenerate text.
    """
    words = words_of(reply)
    return not words or any(_loops(words, size) for size in range(1, _LOOP_WORDS + 1))


def is_gibberish(reply: Reply) -> bool:
    """Return whether the reply is degenerate, or more surprising than every true answer of the data.

    The surprise is that of the vanilla model, shown an irrelevant image. Source: this project.
    """
    return is_degenerate(reply.text) or (reply.surprise or 0.0) > reply.usual_surprise


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
    meaning="replies without a word; with 1 to 4 words three times in a row; or more surprising to the vanilla model, "
    "shown an irrelevant image, than every true answer of the data",
    source="this project",
    better=LOWER,
    computed_from="likelihoods",
    blocks=("split", "fluency"),
    of_reply=is_gibberish,
    column="gibberish",
    is_flag=True,
    order=81,
)
