"""The prefixes of some pictures, kept for many passes where the memory holds them, else read by each for itself."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.fitting import RESERVE
from viker.models.pass_size import PassSize, free_bytes
from viker.models.shared_prefix import Prefixes, Prompt
from viker.models.sizes import LanguageSizes, Lengths, language_sizes, lengths_of

Needed = Callable[[LanguageSizes, int, Lengths, int, int], int]
"""The bytes of a pass, from the model's sizes, bytes per number, lengths, samples in the pass, and pictures kept."""
PICTURES = PassSize("reading of pictures for several batches")


class KeptPrefixes:
    """Keys and values of the pictures of ``samples``, read when the first pass needs them."""

    def __init__(self, model: Any, encoder: Encoder, samples: Sequence[Sample]) -> None:
        """Take the samples of all passes, whose pictures must take the same number of tokens."""
        self.model, self.encoder, self.samples = model, encoder, samples
        self._pictures = _count(samples)
        self._kept: Prefixes | None = None
        self._fit = True
        self._size: int | None = None

    def begin(self, kind: PassSize, wanted: int, needed: Needed) -> int:
        """Return how many samples a pass begins with: ``wanted`` on the CPU, on a GPU what its free memory holds.

        Decided once, for the longest of all samples. Where the memory doesn't hold all pictures besides ``wanted``
        samples, pictures aren't kept, and a pass has at most one per sample.
        """
        free = free_bytes(self.model.device)
        if free is None:
            return wanted
        if self._size is None:
            lengths = lengths_of(self.encoder, self.model, self.samples)
            bytes_of = partial(needed, language_sizes(self.model.config), self.model.dtype.itemsize, lengths)
            self._fit = bytes_of(wanted, self._pictures) <= (1 - RESERVE) * free
            self._size = wanted
            if not self._fit:
                self._size = kind.begin(wanted, free, lambda samples: bytes_of(samples, min(samples, self._pictures)))
        return min(wanted, self._size)

    def of(self, samples: Sequence[Sample]) -> tuple[Prefixes, list[Prompt]]:
        """Return prefixes that have the pictures of one pass, and the prompt of each of its ``samples``.

        Raises NoFastPath: see ``Prefixes``.
        """
        if self._kept is None and self._are_kept:
            self._kept = Prefixes(self.model, self.encoder, self.samples)
        prefixes = self._kept or Prefixes(self.model, self.encoder, samples)
        prompts = {id(prompt.sample): prompt for prompt in prefixes.prompts}
        return prefixes, [prompts[id(sample)] for sample in samples]

    def release(self, samples: Sequence[Sample]) -> bool:
        """Free what is kept, after a pass of ``samples`` ran out of memory; return whether it needs less from now on.

        What it may have left half written is read again. So many pictures are kept no more, if they were more than the
        pass's own.
        """
        self._kept = None
        if not self._are_kept or self._pictures <= _count(samples):
            return False
        PICTURES.limit(self._pictures // 2, f"the memory doesn't hold {self._pictures} pictures besides a batch")
        return True

    @property
    def _are_kept(self) -> bool:
        return self._fit and PICTURES.most(self._pictures) == self._pictures


def _count(samples: Sequence[Sample]) -> int:
    return len({sample.picture for sample in samples})
