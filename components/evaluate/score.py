"""How likely a model finds given answers: each picture read once, all answers to its questions in one pass."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from components.common.chat import IGNORED, Encoder, Sample, answer_logits
from components.common.prefix import (
    NotSharedError,
    Prefix,
    build_tree,
    need_causal_text,
    need_same,
    split_at_picture,
)
from components.evaluate.keep import Kept
from components.evaluate.likelihood import Scores

ROWS = 256
"""Rows of the vocabulary's size that are looked at together."""
Found = list[tuple[Sample, Scores]]


def token_scores(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    batch_size: int,
    name: str = "",
    kept: Kept | None = None,
) -> list[Scores]:
    """Return the scores of each sample's answer, in the order of the samples.

    ``batch_size`` answers to questions about one picture make one pass, in which what they begin with alike is
    computed once. What is asked twice is computed once. ``kept`` and ``name``: see ``generate.replies``; without a
    name there is no progress bar. Where the model doesn't allow that, which one sample computed the plain way tells,
    all are computed the plain way.
    """
    wanted = list({_key(sample): sample for sample in samples}.values())
    found: dict[tuple[str, str, str], Scores] = {}
    with tqdm(total=len(wanted), desc=name, unit="answer", disable=not name) as bar:
        try:
            need_causal_text(model)
            for group in _shared(model, encoder, wanted, batch_size, name, kept):
                found |= {_key(sample): scores for sample, scores in group}
                bar.update(len(group))
        except NotSharedError:
            rest = [sample for sample in wanted if _key(sample) not in found]
            for group in _plain(model, encoder, rest, batch_size, name, kept):
                found |= {_key(sample): scores for sample, scores in group}
                bar.update(len(group))
    return [found[_key(sample)] for sample in samples]


@torch.no_grad()
def _shared(
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, name: str, kept: Kept | None
) -> Iterator[Found]:
    pictures: dict[str, list[Sample]] = {}
    for sample in samples:
        pictures.setdefault(sample.picture, []).append(sample)
    checked = False
    for own in pictures.values():
        prefix = None
        splits = {_key(sample): split_at_picture(encoder, model, sample) for sample in own}
        if len({tuple(before) for before, _ in splits.values()}) > 1:
            raise NotSharedError("the text before the picture differs from sample to sample")
        ordered = sorted(own, key=lambda sample: splits[_key(sample)][1])
        for start in range(0, len(ordered), batch_size):
            group = ordered[start : start + batch_size]

            def compute(group: list[Sample] = group, splits: dict[Any, Any] = splits) -> list[Any]:
                nonlocal prefix, checked
                prefix = prefix or Prefix(model, encoder, group[0])
                tails = [splits[_key(sample)][1] for sample in group]
                tree = build_tree(tails)
                logits = prefix.logits(tree)
                if not checked:
                    plain = answer_logits(model, encoder.batch([group[0]]))[0]
                    need_same(logits[tree.answers[0].to(logits.device)], plain)
                    checked = True
                asked = torch.cat(tree.answers).to(logits.device)
                truth = torch.tensor([token for ids, count in tails for token in ids[-count:]], device=logits.device)
                return _parts(logits, asked, truth, [count for _, count in tails])

            yield _keep(kept, ("scores", name), group, compute)


@torch.no_grad()
def _plain(
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, name: str, kept: Kept | None
) -> Iterator[Found]:
    ordered = sorted(samples, key=lambda sample: (bool(sample.picture), len(encoder.encode(sample)[0])))
    for start in range(0, len(ordered), batch_size):
        group = ordered[start : start + batch_size]

        def compute(group: list[Sample] = group) -> list[Any]:
            batch = encoder.batch(group)
            logits, truth = answer_logits(model, batch)[batch.mask], batch.answers[batch.answers != IGNORED]
            return _parts(logits, torch.arange(len(truth), device=truth.device), truth, batch.mask.sum(1).tolist())

        yield _keep(kept, ("scores, plain", name), group, compute)


def _parts(logits: Tensor, asked: Tensor, truth: Tensor, counts: Sequence[int]) -> list[list[list[float]]]:
    """Return for each answer log p, hit, mean and deviation of its tokens.

    Args:
        logits: [M, V].
        asked: [N], the row of each answer token, of all answers one after the other.
        truth: [N], the tokens.
        counts: how many tokens each answer has; their sum is N.
    """
    columns: list[list[float]] = [[], [], [], []]
    for rows, tokens in zip(asked.split(ROWS), truth.split(ROWS), strict=True):
        log_p = logits[rows].float().log_softmax(-1)
        p = log_p.exp()
        mean = (p * log_p).nan_to_num(0.0).sum(-1)
        square = (p * log_p.square()).nan_to_num(0.0).sum(-1)
        chosen = log_p.gather(-1, tokens[:, None])[:, 0]
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        for column, values in zip(columns, (chosen, log_p.argmax(-1) == tokens, mean, deviation), strict=True):
            column += values.tolist()
    found, start = [], 0
    for count in counts:
        found.append([column[start : start + count] for column in columns])
        start += count
    return found


def _keep(kept: Kept | None, of: tuple[Any, ...], group: Sequence[Sample], compute: Any) -> Found:
    parts = compute() if kept is None else kept.batch([*of, *map(_key, group)], compute)
    return [(sample, Scores(*columns)) for sample, columns in zip(group, parts, strict=True)]


def _key(sample: Sample) -> tuple[str, str, str]:
    return sample.picture, sample.prompt, sample.answer
