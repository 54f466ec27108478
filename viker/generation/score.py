"""How likely a model finds given answers: each picture read once, all answers to its questions in one pass."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from viker.core.run_store import RunStore
from viker.generation.decode import Prefixes, Prompt, chunks, need_sharing, select
from viker.metrics.base.reply import Scores
from viker.models.chat import IGNORED, Encoder, Sample, answer_logits
from viker.models.shared_prefix import NotSharedError, build_tree, need_same, need_window

ROWS = 256
"""Rows of the vocabulary's size that are looked at together."""
BATCHES_A_CHUNK = 4
"""Pictures are read together, so many that their answers fill about so many batches, which are sorted by length."""
Found = list[tuple[Sample, Scores]]


def token_scores(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    batch_size: int,
    name: str = "",
    kept: RunStore | None = None,
) -> list[Scores]:
    """Return the scores of each sample's answer, in the order of the samples.

    ``batch_size`` answers make one pass, in which a question is computed once for all of its answers. What is asked
    twice is computed once. ``kept`` and ``name``: see ``generate.replies``; without a name there is no progress bar.
    Where the model doesn't allow that, which one sample computed the plain way tells, all are computed the plain way.
    """
    wanted = list({_key(sample): sample for sample in samples}.values())
    found: dict[tuple[str, str, str], Scores] = {}
    with tqdm(total=len(wanted), desc=name, unit="answer", disable=not name) as bar:
        try:
            need_sharing(model)
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
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, name: str, kept: RunStore | None
) -> Iterator[Found]:
    checked = False
    for chunk in chunks(encoder, samples, BATCHES_A_CHUNK * batch_size):
        prefixes = None
        for group in _batches(encoder, chunk, batch_size):

            def compute(chunk: list[Sample] = chunk, group: list[list[Sample]] = group) -> list[Any]:
                nonlocal prefixes, checked
                prefixes = prefixes or Prefixes(model, encoder, chunk)
                prompts = {_key(prompt.sample): prompt for prompt in prefixes.prompts}
                rows = [[prompts[_key(sample)] for sample in own] for own in group]
                logits, asked = tree_logits(prefixes, rows)
                if not checked:
                    plain = answer_logits(model, encoder.batch([group[0][0]]))[0]
                    need_same(logits[asked[0]], plain)
                    checked = True
                truth = [token for own in rows for prompt in own for token in prompt.answer]
                return _parts(
                    logits, torch.cat(asked), torch.tensor(truth, device=logits.device), list(map(len, asked))
                )

            yield _keep(kept, ("scores", name), [sample for own in group for sample in own], compute)


def _batches(encoder: Encoder, chunk: Sequence[Sample], batch_size: int) -> Iterator[list[list[Sample]]]:
    """Yield questions, each with all its answers, the short ones first; ``batch_size`` answers or somewhat more."""
    asked: dict[tuple[str, str], list[Sample]] = {}
    for sample in chunk:
        asked.setdefault((sample.picture, sample.prompt), []).append(sample)
    group: list[list[Sample]] = []
    for own in sorted(asked.values(), key=lambda own: sum(len(encoder.encode(sample)[0]) for sample in own)):
        group.append(own)
        if sum(map(len, group)) >= batch_size:
            yield group
            group = []
    if group:
        yield group


def tree_logits(prefixes: Prefixes, rows: Sequence[Sequence[Prompt]]) -> tuple[Tensor, list[Tensor]]:
    """Return the logits of B questions with their answers in one pass, and where the answers' tokens are predicted.

    A row is a question: the text after the picture once, then its answers side by side, each token once where they
    begin alike; the other answers are hidden from each.

    Returns:
        logits [B * U, V] of the U nodes that predict in any row, and for each answer the places [T] of its T tokens.
    """
    model, length = prefixes.model, prefixes.length
    trees = [build_tree([(prompt.tail + prompt.answer, len(prompt.answer)) for prompt in own]) for own in rows]
    device, width = model.device, max(len(tree.ids) for tree in trees)
    need_window(model, length + width)
    ids = torch.full((len(rows), width), int(trees[0].ids[0]))
    places = torch.zeros(len(rows), width, dtype=torch.long)
    sees = torch.eye(width, dtype=torch.bool).repeat(len(rows), 1, 1)  # padding sees itself
    for row, tree in enumerate(trees):
        size = len(tree.ids)
        ids[row, :size], places[row, :size], sees[row, :size, :size] = tree.ids, tree.depths, tree.sees
    mask = torch.zeros(len(rows), 1, width, length + width, dtype=model.dtype, device=device)
    mask[:, 0, :, length:].masked_fill_(~sees.to(device), torch.finfo(model.dtype).min)
    cache = prefixes.cache
    if cache is not None:
        cache = select(cache, torch.tensor([own[0].place for own in rows], device=device))
    union = torch.cat([tree.asked for tree in trees]).unique()
    logits: Tensor = model(
        input_ids=ids.to(device),
        attention_mask=mask,
        position_ids=(length + places).to(device),
        past_key_values=cache,
        use_cache=cache is not None,
        logits_to_keep=union.to(device),
    ).logits
    asked = [
        (row * len(union) + torch.searchsorted(union, tree.asked[answer])).to(device)
        for row, tree in enumerate(trees)
        for answer in tree.answers
    ]
    return logits.flatten(0, 1), asked


@torch.no_grad()
def _plain(
    model: Any, encoder: Encoder, samples: list[Sample], batch_size: int, name: str, kept: RunStore | None
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
        weighted = p * log_p
        mean = weighted.sum(-1)
        square = torch.linalg.vecdot(weighted, log_p)
        chosen = log_p.gather(-1, tokens[:, None])[:, 0]
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        for column, values in zip(columns, (chosen, log_p.argmax(-1) == tokens, mean, deviation), strict=True):
            column += values.tolist()
    found, start = [], 0
    for count in counts:
        found.append([column[start : start + count] for column in columns])
        start += count
    return found


def _keep(kept: RunStore | None, of: tuple[Any, ...], group: Sequence[Sample], compute: Any) -> Found:
    parts = compute() if kept is None else kept.result([*of, *map(_key, group)], compute)
    return [(sample, Scores(*columns)) for sample, columns in zip(group, parts, strict=True)]


def _key(sample: Sample) -> tuple[str, str, str]:
    return sample.picture, sample.prompt, sample.answer
