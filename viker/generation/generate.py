"""Greedy replies and likelihoods, in batches, each picture read once for all that is asked about it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from tqdm import tqdm

from viker.core.run_store import RunStore
from viker.data.samples import Sample
from viker.generation.batches import chunks, length, stored
from viker.generation.decode import decode
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
    questions: dict[tuple[str, str], Sample] = {}
    for sample in samples:
        questions.setdefault(_key(sample), sample)
    answered: dict[tuple[str, str], str] = {}
    with tqdm(total=len(questions), desc=name, unit="question") as bar:

        def collect(way: Callable[..., Iterator[Batch]]) -> None:
            waiting = [sample for key, sample in questions.items() if key not in answered]
            for batch, texts in way(model, encoder, waiting, batch_size, most, name, store):
                answered.update(zip(map(_key, batch), texts, strict=True))
                bar.update(len(batch))

        DECODING.take(model, lambda: collect(_shared), lambda: collect(_plain))
    return [answered[_key(sample)] for sample in samples]


def log_likelihoods(model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int) -> list[float]:
    """Return the mean log-likelihood per token, nats, of each sample's answer, end token included."""
    return [scores.log_likelihood for scores in token_scores(model, encoder, samples, batch_size)]


@torch.no_grad()
def _shared(
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, most: int, name: str, store: RunStore | None
) -> Iterator[Batch]:
    for chunk in chunks(encoder, samples, batch_size):
        prefixes = KeptPrefixes(model, encoder, chunk)
        ordered = _ordered(encoder, chunk)
        for start in range(0, len(ordered), batch_size):
            batch = ordered[start : start + batch_size]

            def compute(prefixes: KeptPrefixes = prefixes, batch: list[Sample] = batch) -> list[str]:
                def reply(part: Sequence[Sample]) -> list[str]:
                    return _texts(encoder, decode(*prefixes.of(part), most))

                size = prefixes.begin(PASS, len(batch), partial(replies_bytes, most=most))
                return list(PASS.each(model, batch, size, reply, prefixes.release))

            yield batch, stored(store, ("replies", name, most), map(_key, batch), compute, "")


def _ordered(encoder: Encoder, chunk: list[Sample]) -> list[Sample]:
    """Return a chunk's samples so that batches cost little: short ones first, or, on a GPU, those of few pictures."""
    if cascades(encoder.device) and chunk[0].picture:
        return chunk
    return sorted(chunk, key=lambda sample: length(encoder, sample))


@torch.no_grad()
def _plain(
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, most: int, name: str, store: RunStore | None
) -> Iterator[Batch]:
    def reply(part: Sequence[Sample]) -> list[str]:
        inputs = encoder.prompts(part)
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=most, repetition_penalty=1.0)
        return _texts(encoder, ids[:, inputs["input_ids"].shape[1] :])

    ordered = sorted(samples, key=lambda sample: (bool(sample.picture), length(encoder, sample)))
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]

        def compute(batch: list[Sample] = batch) -> list[str]:
            return list(PASS.each(model, batch, len(batch), reply))

        yield batch, stored(store, ("replies, plain", name, most), map(_key, batch), compute, "")


def _texts(encoder: Encoder, ids: Any) -> list[str]:
    return [text.strip() for text in encoder.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def _key(sample: Sample) -> tuple[str, str]:
    return sample.picture, sample.prompt
