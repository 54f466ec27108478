"""The model under attack, and how it is asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from viker.data.samples import Sample
from viker.generation.generate import drawn_replies, log_likelihoods, replies
from viker.generation.states import states_before_reply
from viker.models.encoder import IGNORED, Encoder
from viker.models.logits import answer_logits, need_finite
from viker.models.pass_size import PassSize

GRADIENTS = PassSize("full batch of an attack's gradients")
LOSS_SCALES = (2.0**12, 2.0**8, 2.0**4, 1.0)
"""What a loss in float16 is multiplied by, since small gradients vanish there (Micikevicius et al., arXiv 1710.03740).

The first that is small enough for all gradients to be finite counts."""


@dataclass(frozen=True)
class Subject:
    """A PEFT model with its adapter on (``unlearned``) or off (``vanilla``)."""

    name: str
    model: Any
    adapter_on: bool
    encoder: Encoder
    batch_size: int
    max_new_tokens: int
    adapter_sha256: str | None = ""
    """Of the adapter in question, for both subjects, for an attack that nobody could train against; None: none yet."""

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Yield the model with its adapter on or off, as this subject has it."""
        with nullcontext() if self.adapter_on else self.model.disable_adapter():
            yield self.model

    def replies(self, samples: Sequence[Sample], label: str) -> list[str]:
        """Return the greedy replies, in order."""
        name = f"{label}, {self.name}"
        with self.active() as model:
            return replies(model, self.encoder, samples, self.batch_size, self.max_new_tokens, name)

    def drawn_replies(
        self, samples: Sequence[Sample], temperature: float, count: int, seed: int, label: str
    ) -> list[list[str]]:
        """Return ``count`` replies to each sample, drawn from the whole distribution at ``temperature`` by ``seed``."""
        asked = (self.encoder, samples, self.batch_size, self.max_new_tokens, temperature, count, seed)
        with self.active() as model:
            return drawn_replies(model, *asked, f"{label}, {self.name}")

    def states(self, samples: Sequence[Sample], label: str) -> list[torch.Tensor]:
        """Return the states [layers + 1, width] that each reply begins from, float32, on the CPU."""
        with self.active() as model:
            return states_before_reply(model, self.encoder, samples, self.batch_size, f"{label}, {self.name}")

    def likelihoods(self, samples: Sequence[Sample]) -> list[float]:
        """Return the mean log-likelihood per token of each answer, nats."""
        with self.active() as model:
            return log_likelihoods(model, self.encoder, samples, self.batch_size)

    def loss(self, samples: Sequence[Sample], pixels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean cross-entropy of the tokens of the samples' answers, nats, a scalar with its gradient.

        The model is taken as it is: its active adapters, whatever ``adapter_on`` says. ``pixels``: the model's input in
        place of the samples' own pictures.
        """
        batch = self.encoder.batch(samples)
        if pixels is not None:
            batch.inputs["pixel_values"] = pixels
        with torch.enable_grad():
            logits = answer_logits(self.model, batch).flatten(0, 1)
            return cross_entropy(logits, batch.answers.flatten(), ignore_index=IGNORED)

    def gradients(
        self,
        samples: Sequence[Sample],
        wanted: Sequence[torch.Tensor],
        pixels: Callable[[Sequence[Sample]], torch.Tensor] | None = None,
    ) -> list[torch.Tensor]:
        """Return the gradients of ``loss`` on ``samples`` with respect to ``wanted``, in order, of the same shapes.

        Where the memory doesn't hold all samples at once, they are sums over parts, weighted by their tokens.
        ``pixels``: makes the model's input of the pictures of some samples.

        Raises UserError: some of them are NaN or infinite, so that there is nothing that an attack could follow.
        """

        def compute(part: Sequence[Sample]) -> list[tuple[torch.Tensor, ...]]:
            loss = self.loss(part, pixels and pixels(part))
            if len(part) < len(samples):
                loss = loss * self._tokens(part) / self._tokens(samples)
            return [_gradients(loss, wanted)]

        first, *others = GRADIENTS.each(self.model, samples, len(samples), compute)
        return [sum(of_parts[1:], of_parts[0]) for of_parts in zip(first, *others, strict=True)]

    def _tokens(self, samples: Sequence[Sample]) -> int:
        return sum(self.encoder.encode(sample)[1] for sample in samples)

    def with_pictures(self, pictures: Mapping[str, bytes]) -> "Subject":
        """Return this subject with an encoder for ``pictures`` alone; what it decodes is freed with it."""
        return replace(self, encoder=Encoder(self.encoder.processor, dict(pictures), self.encoder.device))


def _gradients(loss: torch.Tensor, wanted: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the gradients of ``loss`` with respect to ``wanted``; in float16 by ``LOSS_SCALES``.

    Raises UserError: some of them are NaN or infinite.
    """
    need_finite(loss.detach(), "an attack's loss")
    scales = LOSS_SCALES if loss.dtype == torch.float16 else (1.0,)
    for scale in scales:
        scaled = loss.float() * scale if scale > 1 else loss
        gradients = torch.autograd.grad(scaled, wanted, retain_graph=scale != scales[-1])
        if torch.stack([gradient.isfinite().all() for gradient in gradients]).all():  # waits once for a GPU
            break
    else:
        gradients = tuple(need_finite(gradient, "an attack's gradient") for gradient in gradients)
    return tuple(gradient / scale for gradient in gradients)
