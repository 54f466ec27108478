"""The prefixes of some pictures, kept for many passes where the memory holds them, else read by each for itself."""

from collections.abc import Sequence
from typing import Any

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.pass_size import PassSize
from viker.models.shared_prefix import Prefixes, Prompt

PICTURES = PassSize("reading of pictures for several batches")


class KeptPrefixes:
    """Keys and values of the pictures of ``samples``, read when the first pass needs them."""

    def __init__(self, model: Any, encoder: Encoder, samples: Sequence[Sample]) -> None:
        """Take the samples of all passes, whose pictures must take the same number of tokens."""
        self.model, self.encoder, self.samples = model, encoder, samples
        self._pictures = _count(samples)
        self._kept: Prefixes | None = None

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
        return PICTURES.most(self._pictures) == self._pictures


def _count(samples: Sequence[Sample]) -> int:
    return len({sample.picture for sample in samples})
