"""Batches of questions: grouped by picture, so that each picture is read once, and sorted by length."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from viker.core.run_store import RunStore
from viker.data.samples import Sample
from viker.models.encoder import Encoder

BATCHES_PER_CHUNK = 4
"""Pictures are read together, so many that their questions fill about so many batches, which are sorted by length."""


def chunks(encoder: Encoder, samples: Sequence[Sample], batch_size: int) -> Iterator[list[Sample]]:
    """Yield samples whose pictures are read together: all samples of some pictures that take the same tokens.

    A chunk has ``BATCHES_PER_CHUNK`` batches or somewhat more, the last of each size fewer; the samples without a
    picture are one chunk.
    """
    sizes: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        size = encoder.picture(sample.picture).text if sample.picture else ""
        sizes.setdefault(size, {}).setdefault(sample.picture, []).append(sample)
    for size, pictures in sizes.items():
        chunk: list[Sample] = []
        for of_picture in pictures.values():
            chunk += of_picture
            if size and len(chunk) >= BATCHES_PER_CHUNK * batch_size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def question_batches(encoder: Encoder, chunk: Sequence[Sample], batch_size: int) -> Iterator[list[Sample]]:
    """Yield batches of whole questions with all their answers, short ones first; ``batch_size`` or somewhat more."""
    questions: dict[tuple[str, str], list[Sample]] = {}
    for sample in chunk:
        questions.setdefault((sample.picture, sample.prompt), []).append(sample)
    batch: list[Sample] = []
    for answers in sorted(questions.values(), key=lambda answers: sum(length(encoder, answer) for answer in answers)):
        batch += answers
        if len(batch) >= batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def sliced(samples: Sequence[Sample], batch_size: int) -> Iterator[list[Sample]]:
    """Yield batches of ``batch_size`` samples, in order."""
    for start in range(0, len(samples), batch_size):
        yield list(samples[start : start + batch_size])


def stored(
    store: RunStore | None,
    of: tuple[Any, ...],
    keys: Iterable[tuple[str, ...]],
    compute: Callable[[], list[Any]],
    blank: Any,
) -> list[Any]:
    """Return what ``compute`` returns for a batch, or what ``store`` has of it, by ``of`` and the samples' ``keys``.

    ``blank`` for each sample of a batch that is another task's to compute.
    """
    if store is None:
        return compute()
    samples = list(keys)
    if store.leaves_out([*of, *samples]):
        return [blank] * len(samples)
    return list(store.result([*of, *samples], compute))


def length(encoder: Encoder, sample: Sample) -> int:
    """Return the tokens of a sample, its answer among them."""
    return len(encoder.encode(sample)[0])
