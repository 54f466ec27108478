"""The memory that passes of replies and of likelihoods need besides the weights; letters as in ``viker.models.sizes``.

Counted is what is there at once: the keys and values that are kept, and the largest temporary, a layer's or the logits.
"""

from viker.models.sizes import LanguageSizes, Lengths

MORE_REPLIES = 4
"""On a GPU, so many times more replies than other samples in a pass, since a step reads all weights in any case."""
ROWS = 256
"""Rows of the vocabulary's size that are looked at together when answers are scored."""


def replies_bytes(sizes: LanguageSizes, e: int, lengths: Lengths, rows: int, pictures: int, most: int) -> int:
    """Return the peak while ``rows`` prompts are answered at once, with at most ``most`` tokens.

    - keys and values of the ``pictures`` prefixes, which all rows that show a picture read: 2 e L g per token;
    - those of each row's prompt and reply: 2 e L g per token;
    - the larger of one layer for all prompts, e (3m + 4d) per token, and of the logits of a step, 2 e V per row.

    Before that, all pictures are read in one pass: their keys and values, and one layer, e (3m + 4d) per token.
    """
    prefixes = pictures * lengths.picture
    reading = prefixes * (sizes.cache_bytes(e) + sizes.layer_bytes(e))
    texts = rows * (lengths.prompt + most) * sizes.cache_bytes(e)
    step = max(rows * lengths.prompt * sizes.layer_bytes(e), 2 * e * rows * sizes.vocabulary)
    return max(reading, prefixes * sizes.cache_bytes(e) + texts + step)


def states_bytes(sizes: LanguageSizes, e: int, lengths: Lengths, rows: int, pictures: int) -> int:
    """Return the peak while ``rows`` prompts are computed at once and the states of all layers are kept.

    - keys and values of the ``pictures`` prefixes, and of each row's copy of its picture's and its prompt: 2 e L g per
      token;
    - the mask: e T (picture + T) per row of T tokens;
    - the states: e d (L + 1) per token of the prompts; and one layer, e (3m + 4d).

    Before that, all pictures are read in one pass, as for replies.
    """
    prefixes, texts = pictures * lengths.picture, rows * lengths.prompt
    reading = prefixes * (sizes.cache_bytes(e) + sizes.layer_bytes(e))
    cache = (prefixes + rows * lengths.picture + texts) * sizes.cache_bytes(e)
    mask = e * texts * (lengths.picture + lengths.prompt)
    states = texts * (e * sizes.width * (sizes.layers + 1) + sizes.layer_bytes(e))
    return max(reading, cache + mask + states)


def likelihoods_bytes(
    sizes: LanguageSizes, e: int, lengths: Lengths, questions: int, pictures: int, answers: int = 1
) -> int:
    """Return the peak while ``answers`` answers to each of ``questions`` questions are scored as trees in one pass.

    A tree has T = prompt + ``answers`` * answer tokens, if no two answers begin alike.

    - keys and values of the ``pictures`` prefixes, and of each question's copy of its picture's and its T tokens: 2 e L
      g per token;
    - the mask: e T (picture + T) per question;
    - the larger of one layer for all trees, e (3m + 4d) per token, and of the logits, e V for each answer token.

    Before that, all pictures are read in one pass, as for replies. After it, the prefixes and the logits are there,
    and four float32 numbers for each of V in ``ROWS`` rows at a time.
    """
    tree = lengths.prompt + answers * lengths.answer
    prefixes = pictures * lengths.picture
    reading = prefixes * (sizes.cache_bytes(e) + sizes.layer_bytes(e))
    cache = (prefixes + questions * (lengths.picture + tree)) * sizes.cache_bytes(e)
    mask = e * questions * tree * (lengths.picture + tree)
    predicted = questions * answers * lengths.answer
    logits = e * predicted * sizes.vocabulary
    scoring = prefixes * sizes.cache_bytes(e) + logits + 16 * min(ROWS, predicted) * sizes.vocabulary
    return max(reading, cache + mask + max(questions * tree * sizes.layer_bytes(e), logits), scoring)
