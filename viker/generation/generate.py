"""Asking a model: greedy replies and likelihoods, in batches, each picture read once for all that is asked about it."""

import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from tqdm import tqdm

from viker.core.run_store import RunStore
from viker.generation.decode import Prefixes, chunks, need_sharing
from viker.generation.score import token_scores
from viker.models.chat import Encoder, Sample
from viker.models.shared_prefix import NotSharedError

BATCHES_A_CHUNK = 4
"""Pictures are read together, so many that their questions fill about so many batches, which are sorted by length."""

log = logging.getLogger(__name__)


def replies(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    batch_size: int,
    most: int,
    name: str,
    kept: RunStore | None = None,
) -> list[str]:
    """Return the greedy reply to each sample, at most ``most`` tokens, in the order of the samples.

    What is asked twice is answered once. ``kept``: where batches are kept, and taken from; ``name`` says of which model
    and for the progress bar of what. Where the model doesn't allow a shared prefix, which one sample computed the plain
    way tells, all are computed the plain way.
    """
    wanted = list(dict.fromkeys((sample.picture, sample.prompt) for sample in samples))
    first = {(sample.picture, sample.prompt): sample for sample in reversed(samples)}
    found: dict[tuple[str, str], str] = {}
    with tqdm(total=len(wanted), desc=name, unit="question") as bar:
        try:
            need_sharing(model)
            way = _shared(model, encoder, [first[key] for key in wanted], batch_size, most, name, kept)
            for group, texts in way:
                _note(found, bar, group, texts)
        except NotSharedError as reason:
            _warn(str(reason))
            rest = [first[key] for key in wanted if key not in found]
            for group, texts in _plain(model, encoder, rest, batch_size, most, name, kept):
                _note(found, bar, group, texts)
    return [found[sample.picture, sample.prompt] for sample in samples]


def log_likelihoods(model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int) -> list[float]:
    """Return the mean log-likelihood a token, nats, of each sample's answer, end token included."""
    return [scores.log_likelihood for scores in token_scores(model, encoder, samples, batch_size)]


Group = tuple[Sequence[Sample], list[str]]


@torch.no_grad()
def _shared(
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, most: int, name: str, kept: RunStore | None
) -> Iterator[Group]:
    check = True
    for chunk in chunks(encoder, samples, BATCHES_A_CHUNK * batch_size):
        prefixes = None
        ordered = sorted(chunk, key=lambda sample: len(encoder.encode(sample)[0]))
        for start in range(0, len(ordered), batch_size):
            group = ordered[start : start + batch_size]

            def compute(chunk: list[Sample] = chunk, group: list[Sample] = group) -> list[str]:
                nonlocal prefixes, check
                prefixes = prefixes or Prefixes(model, encoder, chunk)
                prompts = {id(prompt.sample): prompt for prompt in prefixes.prompts}
                ids = prefixes.decode([prompts[id(sample)] for sample in group], most, check)
                check = False
                return _texts(encoder, ids)

            yield group, _keep(kept, ("replies", name, most), group, compute)


@torch.no_grad()
def _plain(
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, most: int, name: str, kept: RunStore | None
) -> Iterator[Group]:
    ordered = sorted(samples, key=lambda sample: (bool(sample.picture), len(encoder.encode(sample)[0])))
    for start in range(0, len(ordered), batch_size):
        group = ordered[start : start + batch_size]

        def compute(group: list[Sample] = group) -> list[str]:
            inputs = encoder.prompts(group)
            ids = model.generate(**inputs, do_sample=False, max_new_tokens=most, repetition_penalty=1.0)
            return _texts(encoder, ids[:, inputs["input_ids"].shape[1] :])

        yield group, _keep(kept, ("replies, plain", name, most), group, compute)


def _keep(kept: RunStore | None, of: tuple[Any, ...], group: Sequence[Sample], compute: Any) -> list[str]:
    if kept is None:
        return list(compute())
    return list(kept.result([*of, *((sample.picture, sample.prompt) for sample in group)], compute))


def _texts(encoder: Encoder, ids: Any) -> list[str]:
    return [text.strip() for text in encoder.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def _note(found: dict[tuple[str, str], str], bar: Any, group: Sequence[Sample], texts: list[str]) -> None:
    for sample, text in zip(group, texts, strict=True):
        found[sample.picture, sample.prompt] = text
    bar.update(len(group))


@lru_cache(maxsize=16)
def _warn(reason: str) -> None:
    log.warning("every question reads its picture anew, which is slower: %s", reason)
