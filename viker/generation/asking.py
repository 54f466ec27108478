"""A model is asked in batches, each picture read once for all that is asked about it, or else the plain way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from tqdm import tqdm

from viker.core.run_store import RunStore
from viker.data.samples import Sample
from viker.generation.batches import chunks, length, stored
from viker.generation.fixed_steps import cascades
from viker.models.encoder import Encoder
from viker.models.kept_prefixes import KeptPrefixes, Needed
from viker.models.pass_size import PassSize
from viker.models.shared_prefix import DECODING, Prefixes, Prompt

Result = TypeVar("Result")
Batches = Iterator[tuple[Sequence[Sample], list[Result]]]
"""Some samples and the results of each."""


@dataclass(frozen=True)
class Asking(Generic[Result]):
    """What a model is asked, and how: one result for each sample.

    Attributes:
        model: the model.
        encoder: of its prompts.
        batch_size: samples per pass.
        name: heads the progress bar, which counts in ``unit``; part of the key of what is stored.
        unit: see ``name``.
        shared: computes the prompts of a pass from the kept keys and values of their pictures.
        plain: computes the samples of a pass from the beginning, where the model doesn't allow ``DECODING``.
        size: the kind of pass, and ``needed`` its bytes.
        needed: see ``size``.
        store: where finished batches are kept, and taken from; None: nowhere.
        key: what besides the samples decides the results, for ``store``.
    """

    model: Any
    encoder: Encoder
    batch_size: int
    name: str
    unit: str
    shared: Callable[[Prefixes, list[Prompt]], list[Result]]
    plain: Callable[[Sequence[Sample]], list[Result]]
    size: PassSize
    needed: Needed
    store: RunStore | None = None
    key: tuple[Any, ...] = ()

    @torch.no_grad()
    def results(self, samples: Sequence[Sample]) -> list[Result]:
        """Return the result of each of ``samples``, all of them different objects, in order."""
        results: dict[int, Result] = {}
        with tqdm(total=len(samples), desc=self.name, unit=self.unit) as bar:

            def collect(way: Callable[[list[Sample]], Batches[Result]]) -> None:
                for batch, computed in way([sample for sample in samples if id(sample) not in results]):
                    results.update(zip(map(id, batch), computed, strict=True))
                    bar.update(len(batch))

            DECODING.take(self.model, lambda: collect(self._shared), lambda: collect(self._plain))
        return [results[id(sample)] for sample in samples]

    def _shared(self, samples: list[Sample]) -> Batches[Result]:
        for chunk in chunks(self.encoder, samples, self.batch_size):
            prefixes = KeptPrefixes(self.model, self.encoder, chunk)

            def compute(batch: list[Sample], prefixes: KeptPrefixes = prefixes) -> list[Result]:
                def of_pass(part: Sequence[Sample]) -> list[Result]:
                    return self.shared(*prefixes.of(part))

                size = prefixes.begin(self.size, len(batch), self.needed)
                return list(self.size.each(self.model, batch, size, of_pass, prefixes.release))

            yield from self._batches("replies", _ordered(self.encoder, chunk), compute)

    def _plain(self, samples: list[Sample]) -> Batches[Result]:
        def compute(batch: list[Sample]) -> list[Result]:
            return list(self.size.each(self.model, batch, len(batch), self.plain))

        ordered = sorted(samples, key=lambda sample: (bool(sample.picture), length(self.encoder, sample)))
        yield from self._batches("replies, plain", ordered, compute)

    def _batches(
        self, way: str, samples: list[Sample], compute: Callable[[list[Sample]], list[Result]]
    ) -> Batches[Result]:
        for start in range(0, len(samples), self.batch_size):
            batch = samples[start : start + self.batch_size]
            keys = map(question_of, batch)
            yield batch, stored(self.store, (way, self.name, *self.key), keys, partial(compute, batch), "")


def question_of(sample: Sample) -> tuple[str, ...]:
    """Return what decides the greedy reply to a sample."""
    return sample.picture, sample.prompt, *filter(None, [sample.begun])


def _ordered(encoder: Encoder, chunk: list[Sample]) -> list[Sample]:
    """Return a chunk's samples so that batches cost little: short ones first, or, on a GPU, those of few pictures."""
    if cascades(encoder.device) and chunk[0].picture:
        return chunk
    return sorted(chunk, key=lambda sample: length(encoder, sample))
