"""A model is asked in batches, each picture read once for all that is asked about it, or else the plain way."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from tqdm import tqdm

from viker.core.run_store import RunStore
from viker.data.samples import Sample
from viker.generation.batches import chunks, length, sliced, stored
from viker.generation.fixed_steps import cascades
from viker.models.encoder import Encoder
from viker.models.fast_path import FastPath
from viker.models.kept_prefixes import KeptPrefixes, Needed
from viker.models.pass_size import PassSize
from viker.models.shared_prefix import Prefixes, Prompt

Result = TypeVar("Result")
Batches = Iterator[tuple[Sequence[Sample], list[Result]]]
"""Some samples and the results of each."""


@dataclass(frozen=True)
class Kind(Generic[Result]):
    """A kind of question to a model.

    Attributes:
        name: part of the key of what is stored.
        unit: what the progress bar counts.
        path: the fast path by which questions about a picture share its keys and values.
        size: the kind of pass.
        key: what of a sample decides its result.
        batches: how samples whose pictures are read together are split into passes of a size.
        blank: in place of a result that another task asks for.
    """

    name: str
    unit: str
    path: FastPath
    size: PassSize
    key: Callable[[Sample], tuple[str, ...]]
    batches: Callable[[Encoder, list[Sample], int], Iterable[list[Sample]]]
    blank: Result


@dataclass(frozen=True)
class Asking(Generic[Result]):
    """What a model is asked, and how: one result for each sample.

    Attributes:
        kind: what is asked.
        model: the model.
        encoder: of its prompts.
        batch_size: samples per pass.
        name: heads the progress bar, and is part of the key of what is stored; without one there is no bar.
        shared: computes the prompts of a pass from the kept keys and values of their pictures.
        plain: computes the samples of a pass from the beginning, where the model doesn't allow the fast path.
        needed: the bytes of a pass.
        store: where finished batches are kept, and taken from; None: nowhere.
        more: what besides name and samples decides the results, for ``store``.
    """

    kind: Kind[Result]
    model: Any
    encoder: Encoder
    batch_size: int
    name: str
    shared: Callable[[Prefixes, list[Prompt]], list[Result]]
    plain: Callable[[Sequence[Sample]], list[Result]]
    needed: Needed
    store: RunStore | None = None
    more: tuple[Any, ...] = ()

    @torch.no_grad()
    def results(self, samples: Sequence[Sample]) -> list[Result]:
        """Return the result of each of ``samples``, all of them different objects, in order."""
        results: dict[int, Result] = {}
        with tqdm(total=len(samples), desc=self.name, unit=self.kind.unit, disable=not self.name) as bar:

            def collect(way: Callable[[list[Sample]], Batches[Result]]) -> None:
                for batch, computed in way([sample for sample in samples if id(sample) not in results]):
                    results.update(zip(map(id, batch), computed, strict=True))
                    bar.update(len(batch))

            self.kind.path.take(self.model, lambda: collect(self._shared), lambda: collect(self._plain))
        return [results[id(sample)] for sample in samples]

    def _shared(self, samples: list[Sample]) -> Batches[Result]:
        for chunk in chunks(self.encoder, samples, self.batch_size):
            prefixes = KeptPrefixes(self.model, self.encoder, chunk)

            def compute(batch: list[Sample], prefixes: KeptPrefixes = prefixes) -> list[Result]:
                def of_pass(part: Sequence[Sample]) -> list[Result]:
                    return self.shared(*prefixes.of(part))

                size = prefixes.begin(self.kind.size, len(batch), self.needed)
                return list(self.kind.size.each(self.model, batch, size, of_pass, prefixes.release))

            yield from self._stored("", self.kind.batches(self.encoder, chunk, self.batch_size), compute)

    def _plain(self, samples: list[Sample]) -> Batches[Result]:
        def compute(batch: list[Sample]) -> list[Result]:
            return list(self.kind.size.each(self.model, batch, len(batch), self.plain))

        ordered = sorted(samples, key=lambda sample: (bool(sample.picture), length(self.encoder, sample)))
        yield from self._stored(", plain", sliced(ordered, self.batch_size), compute)

    def _stored(
        self, way: str, batches: Iterable[list[Sample]], compute: Callable[[list[Sample]], list[Result]]
    ) -> Batches[Result]:
        for batch in batches:
            of = f"{self.kind.name}{way}", self.name, *self.more
            yield batch, stored(self.store, of, map(self.kind.key, batch), partial(compute, batch), self.kind.blank)


def question_of(sample: Sample) -> tuple[str, ...]:
    """Return what decides the greedy reply to a sample."""
    return sample.picture, sample.prompt, *filter(None, [sample.begun])


def by_length(encoder: Encoder, chunk: list[Sample], batch_size: int) -> Iterator[list[Sample]]:
    """Yield batches of prompts that cost little: short ones first, or, on a GPU, those of few pictures."""
    if not (cascades(encoder.device) and chunk[0].picture):
        chunk = sorted(chunk, key=lambda sample: length(encoder, sample))
    return sliced(chunk, batch_size)
