"""How likely a model finds given answers: each picture read once, all answers to a question in one pass."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from viker.core.run_store import RunStore
from viker.data.samples import Sample
from viker.generation.asking import Asking, Kind
from viker.generation.batches import question_batches
from viker.generation.memory import ROWS, likelihoods_bytes
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits, need_finite
from viker.models.pass_size import PassSize
from viker.models.scores import Scores
from viker.models.shared_prefix import TREE, Prefixes, Prompt

Columns = list[list[Any]]
"""The fields of one ``Scores``, as JSON holds them."""


def _key(sample: Sample) -> tuple[str, ...]:
    return sample.picture, sample.prompt, sample.answer


SCORES: Kind[Columns] = Kind(
    "scores", "answer", TREE, PassSize("full batch of likelihoods"), _key, question_batches, [[], [], [], []]
)


def token_scores(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    batch_size: int,
    name: str = "",
    store: RunStore | None = None,
) -> list[Scores]:
    """Return the scores of each sample's answer, in the order of the samples.

    ``batch_size`` answers make one pass, in which a question is computed once for all of its answers. What is asked
    twice is computed once. ``store`` and ``name``: see ``generate.replies``; without a name there is no progress bar.
    A model that doesn't allow the fast path ``TREE`` reads picture and question again for each answer.
    """

    def plain(part: Sequence[Sample]) -> list[Columns]:
        encoded = encoder.batch(part)
        logits, truth = answer_logits(model, encoded)[encoded.mask], encoded.answers[encoded.mask]
        rows = torch.arange(len(truth), device=truth.device)
        return _columns(logits, rows, truth, encoded.mask.sum(1).tolist())

    wanted = {_key(sample): sample for sample in samples}
    asking = Asking(SCORES, model, encoder, batch_size, name, _as_trees, plain, likelihoods_bytes, store)
    columns = dict(zip(wanted, asking.results(list(wanted.values())), strict=True))
    return [Scores(*columns[_key(sample)]) for sample in samples]


def _as_trees(prefixes: Prefixes, prompts: list[Prompt]) -> list[Columns]:
    """Return what ``_columns`` does for the answers of one pass, those to a question side by side."""
    rows = [list(answers) for _, answers in groupby(prompts, key=lambda p: (p.sample.picture, p.sample.prompt))]
    logits, places = prefixes.tree_logits(rows)
    truth = torch.tensor([token for prompt in prompts for token in prompt.answer], device=logits.device)
    return _columns(logits, torch.cat(places), truth, list(map(len, places)))


def _columns(logits: Tensor, places: Tensor, truth: Tensor, counts: Sequence[int]) -> list[Columns]:
    """Return for each answer log p, hit, mean and deviation of its tokens.

    Args:
        logits: [M, V].
        places: [N], the row of ``logits`` that predicts each answer token, of all answers one after the other.
        truth: [N], the tokens.
        counts: how many tokens each answer has; their sum is N.

    Raises UserError: some logits are NaN or infinite.
    """
    floats, hits = [], []
    for rows, tokens in zip(places.split(ROWS), truth.split(ROWS), strict=True):
        log_p = logits[rows].float().log_softmax(-1)
        p = log_p.exp()
        weighted = p * log_p
        mean = weighted.sum(-1)
        square = torch.linalg.vecdot(weighted, log_p)
        true = log_p.gather(-1, tokens[:, None])[:, 0]
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        floats.append(torch.stack([true, mean, deviation]))
        hits.append(log_p.argmax(-1) == tokens)
    true, mean, deviation = torch.cat(floats, -1)
    need_finite(mean, "the answers' expected log p")
    columns = [values.tolist() for values in (true, torch.cat(hits), mean, deviation)]
    answers, start = [], 0
    for count in counts:
        answers.append([column[start : start + count] for column in columns])
        start += count
    return answers
