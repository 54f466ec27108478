"""How likely a model finds the tokens of one answer. Plain Python: metrics read it where there is no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scores:
    """The T tokens of an answer, its end token last: each T long.

    ``log_p``: nats, log p of the token given what comes before; ``hit``: whether no other token is likelier;
    ``mean`` and ``deviation``: of log p(z) over the tokens z that the model would draw there.
    """

    log_p: Sequence[float]
    hit: Sequence[bool]
    mean: Sequence[float]
    deviation: Sequence[float]

    @property
    def log_likelihood(self) -> float:
        """Return the mean log-likelihood per token, nats, at most 0."""
        return math.fsum(self.log_p) / len(self.log_p)
