"""The teacher's distributions over the vocabulary, one per answer token, in full or at half the size.

What the half size costs the loss is measured in docs/benchmarks.md.
"""

from dataclasses import dataclass

from torch import Tensor

EXACT = 16
"""Entries of a distribution, the largest ones, that keep float32; on a real model they hold most of its mass."""
SCALE = 2.0**15
"""Half precision is finest from 6e-5 on: scaled up by this, probabilities down to 2e-9 keep its 11 bits."""
LARGE = 4096
"""Vocabularies from this size on are stored compactly; LLaVA-1.5's has 32,064 entries."""


@dataclass(frozen=True)
class CompactDistributions:
    """Distributions [T, V]: ``scaled`` [T, V], float16, and over it ``exact`` [T, 16], float32, at ``places``, int32.

    2 V + 128 bytes per token, where float32 takes 4 V.
    """

    scaled: Tensor
    exact: Tensor
    places: Tensor

    def __len__(self) -> int:
        """Return T."""
        return len(self.scaled)

    def cpu(self) -> "CompactDistributions":
        """Return the same distributions on the CPU."""
        return CompactDistributions(self.scaled.cpu(), self.exact.cpu(), self.places.cpu())

    def full(self) -> Tensor:
        """Return the distributions [T, V], float32: the ``EXACT`` largest entries to the bit, others rounded."""
        return (self.scaled.float() / SCALE).scatter(-1, self.places.long(), self.exact)


TeacherDistributions = Tensor | CompactDistributions
"""A sample's teacher: for each of its T answer tokens a distribution over the V tokens of the vocabulary."""


def compact(p: Tensor) -> TeacherDistributions:
    """Return distributions [T, V], float32, as they are to be stored: unchanged where the vocabulary is small."""
    if p.shape[-1] < LARGE:
        return p
    exact, places = p.topk(EXACT, -1)
    return CompactDistributions((p * SCALE).half(), exact, places.int())


def full(teacher: TeacherDistributions) -> Tensor:
    """Return the distributions [T, V], float32; each sums to 1."""
    return teacher.full() if isinstance(teacher, CompactDistributions) else teacher


def to_tensors(teacher: TeacherDistributions) -> dict[str, Tensor]:
    """Return the tensors that a safetensors file holds of a sample's teacher, by name."""
    return vars(teacher) if isinstance(teacher, CompactDistributions) else {"full": teacher.contiguous()}


def from_tensors(tensors: dict[str, Tensor]) -> TeacherDistributions:
    """Return the teacher that ``to_tensors`` took apart."""
    return tensors["full"] if "full" in tensors else CompactDistributions(**tensors)


def bytes_per_token(vocabulary: int) -> int:
    """Return how many bytes the distribution of one token takes."""
    return 4 * vocabulary if vocabulary < LARGE else 2 * vocabulary + 8 * EXACT


def pad_teachers(teachers: list[TeacherDistributions], width: int) -> Tensor:
    """Stack teachers [T_i, V] to [B, width, V], float32, aligned on the right like the answers; zeros elsewhere."""
    rows = list(map(full, teachers))
    padded = rows[0].new_zeros(len(rows), width, rows[0].shape[1])
    for row, teacher in enumerate(rows):
        padded[row, width - len(teacher) :] = teacher
    return padded
