"""Replies that are begun for the model, or drawn at a temperature: what greedy replies to plain prompts can't be."""

from collections.abc import Sequence

import torch
from tqdm import tqdm

from viker.attacks.subject import Subject
from viker.models.chat import Sample


@torch.no_grad()
def continuations(subject: Subject, samples: Sequence[Sample], label: str) -> list[str]:
    """Return how the model goes on, greedily, after each sample's answer, which it takes for its own words."""
    found: list[str] = []
    with subject.as_is() as model, tqdm(total=len(samples), desc=f"{label}, {subject.name}", unit="question") as bar:
        for start in range(0, len(samples), subject.batch_size):
            group = samples[start : start + subject.batch_size]
            inputs = subject.encoder.prompts(group, begun=True)
            most = subject.max_new_tokens
            ids = model.generate(**inputs, do_sample=False, max_new_tokens=most, repetition_penalty=1.0)
            found += _texts(subject, inputs, ids)
            bar.update(len(group))
    return found


@torch.no_grad()
def drawn(
    subject: Subject, samples: Sequence[Sample], temperature: float, count: int, seed: int, label: str
) -> list[list[str]]:
    """Return ``count`` replies to each sample, drawn from the whole distribution at ``temperature`` by ``seed``."""
    found: list[str] = []
    size = max(1, subject.batch_size // count)
    with (
        subject.as_is() as model,
        torch.random.fork_rng(),
        tqdm(total=len(samples), desc=f"{label} {temperature}, {subject.name}", unit="question") as bar,
    ):
        torch.manual_seed(seed)
        for start in range(0, len(samples), size):
            group = samples[start : start + size]
            inputs = subject.encoder.prompts(group)
            ids = model.generate(
                **inputs,
                do_sample=True,
                temperature=temperature,
                top_k=0,
                top_p=1.0,
                repetition_penalty=1.0,
                num_return_sequences=count,
                max_new_tokens=subject.max_new_tokens,
            )
            found += _texts(subject, inputs, ids)
            bar.update(len(group))
    return [found[start : start + count] for start in range(0, len(found), count)]


def _texts(subject: Subject, inputs: dict[str, torch.Tensor], ids: torch.Tensor) -> list[str]:
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in subject.encoder.tokenizer.batch_decode(new, skip_special_tokens=True)]
