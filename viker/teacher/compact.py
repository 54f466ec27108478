"""The teacher's distributions at half the size: what that costs the loss is measured in docs/benchmarks.md."""

from dataclasses import dataclass

from torch import Tensor

EXACT = 16
"""Entries of a distribution, the largest ones, that keep float32; on a real model they hold most of its mass."""
SCALE = 2.0**15
"""Half precision is finest from 6e-5 on: so much larger, probabilities down to 2e-9 keep its 11 bits."""
LARGE = 4096
"""From this vocabulary on it is worth the while; LLaVA-1.5's has 32,064 entries."""


@dataclass(frozen=True)
class Compact:
    """Distributions [T, V]: ``scaled`` [T, V], float16, and over it ``exact`` [T, 16], float32, at ``places``, int32.

    2 V + 128 bytes a token, where float32 takes 4 V.
    """

    scaled: Tensor
    exact: Tensor
    places: Tensor

    def __len__(self) -> int:
        """Return T."""
        return len(self.scaled)

    def whole(self) -> Tensor:
        """Return the distributions [T, V], float32: the ``EXACT`` largest entries as they were, others rounded."""
        return (self.scaled.float() / SCALE).scatter(-1, self.places.long(), self.exact)


Kept = Tensor | Compact
"""A sample's distributions [T, V], as they are kept."""


def keep(p: Tensor) -> Kept:
    """Return distributions [T, V], float32, in the form to keep: as they are where the vocabulary is small."""
    if p.shape[-1] < LARGE:
        return p
    exact, places = p.topk(EXACT, -1)
    return Compact((p * SCALE).half(), exact, places.int())


def whole(kept: Kept) -> Tensor:
    """Return the distributions [T, V], float32."""
    return kept.whole() if isinstance(kept, Compact) else kept


def to_tensors(kept: Kept) -> dict[str, Tensor]:
    """Return what a file of safetensors holds of a sample's distributions, by name."""
    return vars(kept) if isinstance(kept, Compact) else {"whole": kept.contiguous()}


def from_tensors(tensors: dict[str, Tensor]) -> Kept:
    """Return what ``to_tensors`` took apart."""
    return tensors["whole"] if "whole" in tensors else Compact(**tensors)


def bytes_a_token(vocabulary: int) -> int:
    """Return how much the distribution of one token takes."""
    return 4 * vocabulary if vocabulary < LARGE else 2 * vocabulary + 8 * EXACT
