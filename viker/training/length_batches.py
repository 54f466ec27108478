"""Batches of samples of similar length."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


class LengthGrouped(Sampler[int]):
    """An epoch's order in which samples of similar length are neighbours, drawn from seed and epoch."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        """Take the samples' lengths, how many stand together, and the seed."""
        self.lengths, self.batch_size, self.seed, self.epoch = list(lengths), batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; a resumed run draws the same order for it as an uninterrupted one."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Yield the samples' places."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.lengths)
