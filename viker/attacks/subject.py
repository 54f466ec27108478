"""The model under attack, and how it is asked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from viker.generation.generate import log_likelihoods, replies
from viker.models.chat import Encoder, Sample


@dataclass(frozen=True)
class Subject:
    """A PEFT model with its adapter on (``unlearned``) or off (``vanilla``)."""

    name: str
    model: Any
    adapter_on: bool
    encoder: Encoder
    batch_size: int
    max_new_tokens: int

    @contextmanager
    def as_is(self) -> Iterator[Any]:
        """Yield the model with its adapter as this subject has it."""
        with nullcontext() if self.adapter_on else self.model.disable_adapter():
            yield self.model

    def replies(self, samples: Sequence[Sample], label: str) -> list[str]:
        """Return the greedy replies, in order."""
        with self.as_is() as model:
            most = self.max_new_tokens
            return replies(model, self.encoder, samples, self.batch_size, most, f"{label}, {self.name}")

    def likelihoods(self, samples: Sequence[Sample]) -> list[float]:
        """Return the mean log-likelihood a token of each answer, nats."""
        with self.as_is() as model:
            return log_likelihoods(model, self.encoder, samples, self.batch_size)

    def with_pictures(self, pictures: Mapping[str, bytes]) -> "Subject":
        """Return this subject with an encoder of its own for ``pictures``, which goes when the attack is over."""
        return replace(self, encoder=Encoder(self.encoder.processor, dict(pictures), self.encoder.device))
