"""Replies, greedy or drawn, and likelihoods, in batches, each picture read once for all that is asked about it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from tqdm import tqdm
from transformers import LogitsProcessorList

from viker.core.run_store import RunStore
from viker.data.samples import Sample
from viker.generation.batches import chunks, length, stored
from viker.generation.decode import decode
from viker.generation.draw import Drawing, DrawnTokens, Draws
from viker.generation.fixed_steps import cascades
from viker.generation.memory import replies_bytes
from viker.generation.score import token_scores
from viker.models.encoder import Encoder
from viker.models.kept_prefixes import KeptPrefixes
from viker.models.pass_size import PassSize
from viker.models.shared_prefix import DECODING

PASS = PassSize("full batch of replies")
Batch = tuple[Sequence[Sample], list[str]]
"""Some samples and the replies to them."""


def replies(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    batch_size: int,
    most: int,
    name: str,
    store: RunStore | None = None,
) -> list[str]:
    """Return the greedy reply to each sample, at most ``most`` tokens, in the order of the samples.

    What is asked twice is answered once. ``store``: where finished batches are kept, and taken from; ``name`` is part
    of their key there, so it says which model is asked, and heads the progress bar. A model that doesn't allow the fast
    path ``DECODING`` reads each picture again for each question.
    """
    questions: dict[tuple[str, ...], Sample] = {}
    for sample in samples:
        questions.setdefault(_key(sample), sample)
    asking = _Asking(model, encoder, batch_size, most, name, store)
    answered = dict(zip(questions, asking.replies(list(questions.values())), strict=True))
    return [answered[_key(sample)] for sample in samples]


def drawn_replies(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    batch_size: int,
    most: int,
    temperature: float,
    count: int,
    seed: int,
    name: str,
) -> list[list[str]]:
    """Return ``count`` replies to each sample, drawn from the whole distribution at ``temperature``, by ``seed``.

    Each reply depends on the seed and its place alone, not on the batch that it is in. The rest is as in ``replies``.
    """
    copies = [replace(sample) for sample in samples for _ in range(count)]
    generator = torch.Generator().manual_seed(seed)
    uniforms = torch.rand(len(copies), most, generator=generator, dtype=torch.float64)
    drawing = Drawing(temperature, dict(zip(map(id, copies), uniforms, strict=True)))
    texts = _Asking(model, encoder, batch_size, most, name, None, drawing).replies(copies)
    return [texts[start : start + count] for start in range(0, len(texts), count)]


def log_likelihoods(model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int) -> list[float]:
    """Return the mean log-likelihood per token, nats, of each sample's answer, end token included."""
    return [scores.log_likelihood for scores in token_scores(model, encoder, samples, batch_size)]


@dataclass(frozen=True)
class _Asking:
    """How a model is asked for replies; without ``drawing`` these are greedy."""

    model: Any
    encoder: Encoder
    batch_size: int
    most: int
    name: str
    store: RunStore | None
    drawing: Drawing | None = None

    @torch.no_grad()
    def replies(self, samples: Sequence[Sample]) -> list[str]:
        """Return the reply to each of ``samples``, all of them different objects, in order."""
        answered: dict[int, str] = {}
        with tqdm(total=len(samples), desc=self.name, unit="reply") as bar:

            def collect(way: Callable[[list[Sample]], Iterator[Batch]]) -> None:
                for batch, texts in way([sample for sample in samples if id(sample) not in answered]):
                    answered.update(zip(map(id, batch), texts, strict=True))
                    bar.update(len(batch))

            DECODING.take(self.model, lambda: collect(self._shared), lambda: collect(self._plain))
        return [answered[id(sample)] for sample in samples]

    def _shared(self, samples: list[Sample]) -> Iterator[Batch]:
        needed = partial(replies_bytes, most=self.most)
        for chunk in chunks(self.encoder, samples, self.batch_size):
            prefixes = KeptPrefixes(self.model, self.encoder, chunk)

            def compute(batch: list[Sample], prefixes: KeptPrefixes = prefixes) -> list[str]:
                def reply(part: Sequence[Sample]) -> list[str]:
                    return self._texts(decode(*prefixes.of(part), self.most, self._draws(part)))

                size = prefixes.begin(PASS, len(batch), needed)
                return list(PASS.each(self.model, batch, size, reply, prefixes.release))

            yield from self._batches("replies", _ordered(self.encoder, chunk), compute)

    def _plain(self, samples: list[Sample]) -> Iterator[Batch]:
        def reply(part: Sequence[Sample]) -> list[str]:
            inputs = self.encoder.prompts(part)
            prompt, draws = inputs["input_ids"].shape[1], self._draws(part)
            drawn = LogitsProcessorList([DrawnTokens(draws, prompt)] if draws else [])
            how: dict[str, Any] = {"do_sample": False, "repetition_penalty": 1.0, "logits_processor": drawn}
            return self._texts(self.model.generate(**inputs, max_new_tokens=self.most, **how)[:, prompt:])

        def compute(batch: list[Sample]) -> list[str]:
            return list(PASS.each(self.model, batch, len(batch), reply))

        ordered = sorted(samples, key=lambda sample: (bool(sample.picture), length(self.encoder, sample)))
        yield from self._batches("replies, plain", ordered, compute)

    def _batches(
        self, way: str, samples: list[Sample], compute: Callable[[list[Sample]], list[str]]
    ) -> Iterator[Batch]:
        for start in range(0, len(samples), self.batch_size):
            batch = samples[start : start + self.batch_size]
            key = (way, self.name, self.most)
            yield batch, stored(self.store, key, map(_key, batch), partial(compute, batch), "")

    def _draws(self, samples: Sequence[Sample]) -> Draws | None:
        return self.drawing.of(samples, self.model.device) if self.drawing else None

    def _texts(self, ids: Any) -> list[str]:
        return [text.strip() for text in self.encoder.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def _ordered(encoder: Encoder, chunk: list[Sample]) -> list[Sample]:
    """Return a chunk's samples so that batches cost little: short ones first, or, on a GPU, those of few pictures."""
    if cascades(encoder.device) and chunk[0].picture:
        return chunk
    return sorted(chunk, key=lambda sample: length(encoder, sample))


def _key(sample: Sample) -> tuple[str, ...]:
    return sample.picture, sample.prompt, *filter(None, [sample.begun])
