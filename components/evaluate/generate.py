"""Asking a model: greedy replies and likelihoods, in batches."""

from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from components.common.chat import Encoder, Sample, answer_logits


@torch.no_grad()
def replies(
    model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int, most: int, name: str
) -> list[str]:
    """Return the greedy reply to each sample, at most ``most`` tokens, in the order of the samples."""
    order = sorted(range(len(samples)), key=lambda i: (bool(samples[i].picture), len(samples[i].prompt)))
    found = [""] * len(samples)
    with tqdm(total=len(samples), desc=name, unit="question") as bar:
        for start in range(0, len(order), batch_size):
            group = order[start : start + batch_size]
            inputs = encoder.prompts([samples[i] for i in group])
            ids = model.generate(**inputs, do_sample=False, max_new_tokens=most)
            texts = encoder.tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            for i, text in zip(group, texts, strict=True):
                found[i] = text.strip()
            bar.update(len(group))
    return found


@torch.no_grad()
def log_likelihoods(model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int) -> list[float]:
    """Return the mean log-likelihood a token, nats, of each sample's answer, end token included."""
    found: list[float] = []
    for start in range(0, len(samples), batch_size):
        batch = encoder.batch(samples[start : start + batch_size])
        chosen = answer_logits(model, batch).log_softmax(-1).gather(-1, batch.answers.clamp(min=0)[..., None])[..., 0]
        found += ((chosen * batch.mask).sum(1) / batch.mask.sum(1)).tolist()
    return found
