"""The memory that the teacher's passes need besides the weights; letters as in ``viker.models.sizes``."""

from viker.models.fitting import fitting
from viker.models.sizes import LanguageSizes, Lengths

MOST = 32
"""The most samples that follow an image in one pass on a GPU."""
BLOCK_BYTES = 2**30
"""The most memory that the running sums of the distributions take, in float32, where the model is."""


def teacher_pass_bytes(sizes: LanguageSizes, e: int, lengths: Lengths, samples: int, total: int) -> int:
    """Return the peak while ``samples`` of ``total`` samples follow an image in one pass, as one tree.

    - the sums over the images before: 4 V for each answer token of all samples, ``BLOCK_BYTES`` at most;
    - keys and values of the image, once, and of all texts: 2 e L g per token;
    - the mask: e T (picture + T) for the T tokens of all texts;
    - the larger of one layer, e (3m + 4d) per token, and of logits and their softmax, (e + 4) V for each answer token;
      in half precision 4 V more, for the cast.
    """
    texts = samples * (lengths.prompt + lengths.answer)
    cache = (lengths.picture + texts) * sizes.cache_bytes(e)
    mask = e * texts * (lengths.picture + texts)
    logits = (8 if e == 4 else 10) * samples * lengths.answer * sizes.vocabulary
    sums = min(BLOCK_BYTES, 4 * total * lengths.answer * sizes.vocabulary)
    return sums + cache + mask + max(max(lengths.picture, texts) * sizes.layer_bytes(e), logits)


def teacher_batch(sizes: LanguageSizes, e: int, lengths: Lengths, total: int, free: int) -> int:
    """Return how many of ``total`` samples follow an image in one pass on a GPU with so many free bytes.

    At most ``MOST``.
    """
    return fitting(MOST, free, lambda samples: teacher_pass_bytes(sizes, e, lengths, samples, total))
