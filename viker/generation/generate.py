"""Replies, greedy or drawn, and likelihoods, in batches, each picture read once for all that is asked about it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import LogitsProcessorList

from viker.core.run_store import RunStore
from viker.data.samples import Sample
from viker.generation.asking import Asking, Kind, by_length, question_of
from viker.generation.decode import decode
from viker.generation.draw import Drawing, DrawnTokens, Draws
from viker.generation.fixed_steps import cascades
from viker.generation.memory import MORE_REPLIES, replies_bytes
from viker.generation.score import token_scores
from viker.models.encoder import Encoder
from viker.models.pass_size import PassSize
from viker.models.shared_prefix import DECODING, Prefixes, Prompt

REPLIES = Kind("replies", "reply", DECODING, PassSize("full batch of replies"), question_of, by_length, "")


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

    What is asked twice is answered once. On a GPU, a pass has up to ``MORE_REPLIES`` times ``batch_size`` samples.
    ``store``: where finished batches are kept, and taken from; ``name`` is part of their key there, so it says which
    model is asked, and heads the progress bar. A model that doesn't allow the fast path ``DECODING`` reads each picture
    again for each question.
    """
    questions: dict[tuple[str, ...], Sample] = {}
    for sample in samples:
        questions.setdefault(question_of(sample), sample)
    texts = _asking(model, encoder, batch_size, most, name, store).results(list(questions.values()))
    answered = dict(zip(questions, texts, strict=True))
    return [answered[question_of(sample)] for sample in samples]


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
    texts = _asking(model, encoder, batch_size, most, name, None, drawing).results(copies)
    return [texts[start : start + count] for start in range(0, len(texts), count)]


def log_likelihoods(model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int) -> list[float]:
    """Return the mean log-likelihood per token, nats, of each sample's answer, end token included."""
    return [scores.log_likelihood for scores in token_scores(model, encoder, samples, batch_size)]


def _asking(
    model: Any,
    encoder: Encoder,
    batch_size: int,
    most: int,
    name: str,
    store: RunStore | None,
    drawing: Drawing | None = None,
) -> Asking[str]:
    def draws(samples: Sequence[Sample]) -> Draws | None:
        return drawing.of(samples, model.device) if drawing else None

    def texts(ids: Any) -> list[str]:
        return [text.strip() for text in encoder.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def shared(prefixes: Prefixes, prompts: list[Prompt]) -> list[str]:
        return texts(decode(prefixes, prompts, most, draws([prompt.sample for prompt in prompts])))

    def plain(samples: Sequence[Sample]) -> list[str]:
        inputs, drawn = encoder.prompts(samples), draws(samples)
        prompt = inputs["input_ids"].shape[1]
        chosen = LogitsProcessorList([DrawnTokens(drawn, prompt)] if drawn else [])
        how: dict[str, Any] = {"do_sample": False, "repetition_penalty": 1.0, "logits_processor": chosen}
        return texts(model.generate(**inputs, max_new_tokens=most, **how)[:, prompt:])

    needed = partial(replies_bytes, most=most)
    size = MORE_REPLIES * batch_size if cascades(encoder.device) else batch_size
    return Asking(REPLIES, model, encoder, size, name, shared, plain, needed, store, (most,))
