"""The visual teacher: what the frozen model would answer if the picture said nothing about the person."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from viker.core.distributed import processes
from viker.models.chat import Encoder, Sample, answer_logits
from viker.models.shared_prefix import (
    NotSharedError,
    Prefix,
    Tail,
    build_tree,
    need_causal_text,
    need_same,
    shown,
    split_at_picture,
)
from viker.teacher.compact import Kept, keep, whole

BLOCK_BYTES = 2**30
"""The most memory that the running sums of the distributions take, in float32."""

TEACHER_BATCH = 8
"""Samples that a run lets follow an image in one pass."""

log = logging.getLogger(__name__)


def teacher_probabilities(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]], batch_size: int
) -> list[Tensor]:
    """Return for each sample the teacher's distributions [T, V] at its T answer tokens, float32, on the CPU."""
    return list(map(whole, kept_teachers(model, encoder, samples, images, batch_size)))


@torch.no_grad()
def kept_teachers(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]], batch_size: int
) -> list[Kept]:
    """Return for each sample the teacher's distributions [T, V] at its T answer tokens, as they are kept, on the CPU.

    p_t = 1/k sum_j p(. | I'_j, x, y_<t) over the k irrelevant images of the sample, with its own question and
    ground-truth prefix; its own picture is not looked at. ``images``: for each sample its k images, keys of the
    encoder's pictures. ``model`` must be the model before unlearning, in evaluation mode.

    An image, and the prompt before it, is read once and ``batch_size`` samples follow it in one pass. Where the model
    doesn't allow that, which one sample computed the plain way tells, all are computed the plain way.

    Source: Cai et al., arXiv 2601.22020.
    """
    try:
        return _after_shared_prefixes(model, encoder, samples, images, batch_size)
    except NotSharedError as reason:
        log.warning("the teacher reads every image anew for every sample, which is slower: %s", reason)
        return _plain(model, encoder, samples, images, batch_size)


def _after_shared_prefixes(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]], batch_size: int
) -> list[Kept]:
    need_causal_text(model)
    befores = set()
    tails: dict[tuple[int, bool], Tail] = {}
    for i, image in ((i, image) for i, own in enumerate(images) for image in own):
        if (i, bool(image)) not in tails:
            before, tails[i, bool(image)] = split_at_picture(encoder, model, shown(samples[i], image))
            befores.add((bool(image), *before))
    if len(befores) > len({with_image for with_image, *_ in befores}):
        raise NotSharedError("the text before the picture differs from sample to sample")
    counts = [tails[i, bool(own[0])][1] for i, own in enumerate(images)]
    teachers: list[Kept] = []
    checked = False
    quiet = not processes().is_main_process
    with tqdm(total=sum(map(len, images)), desc="teacher", unit="answer", disable=quiet) as bar:
        for block in _blocks(counts, model.config.get_text_config().vocab_size):
            sums: dict[int, Tensor] = {}
            for image in dict.fromkeys(image for i in block for image in images[i]):
                prefix = Prefix(model, encoder, shown(samples[block[0]], image))
                # questions that begin alike side by side, so that they share a tree's nodes
                asked = sorted((i for i in block if image in images[i]), key=lambda i: tails[i, bool(image)])
                for start in range(0, len(asked), batch_size):
                    group = asked[start : start + batch_size]
                    tree = build_tree([tails[i, bool(image)] for i in group])
                    logits = prefix.logits(tree)
                    if not checked:
                        _check(logits[tree.answers[0]], model, encoder, shown(samples[group[0]], image))
                        checked = True
                    p = logits.float().softmax(-1).cpu()
                    for i, answer in zip(group, tree.answers, strict=True):
                        sums[i] = sums[i].add_(p[answer]) if i in sums else p[answer]
                        bar.update()
            teachers += [keep(sums[i].div_(len(images[i]))) for i in block]
    return teachers


def _plain(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]], batch_size: int
) -> list[Kept]:
    teachers: list[Kept] = []
    quiet = not processes().is_main_process
    for start in tqdm(range(0, len(samples), batch_size), desc="teacher", unit="batch", disable=quiet):
        group = samples[start : start + batch_size]
        batches = [
            encoder.batch([shown(sample, image) for sample, image in zip(group, column, strict=True)])
            for column in zip(*images[start : start + batch_size], strict=True)
        ]
        mean = torch.stack([answer_logits(model, batch).float().softmax(-1) for batch in batches]).mean(0)
        teachers += [keep(row[mask].cpu()) for row, mask in zip(mean, batches[0].mask, strict=True)]
    return teachers


def _blocks(counts: Sequence[int], vocabulary: int) -> Iterator[list[int]]:
    """Yield runs of sample numbers whose distributions fit ``BLOCK_BYTES``; one sample at least."""
    block: list[int] = []
    size = 0
    for i, count in enumerate(counts):
        if block and size + 4 * count * vocabulary > BLOCK_BYTES:
            yield block
            block, size = [], 0
        block.append(i)
        size += 4 * count * vocabulary
    yield block


def _check(logits: Tensor, model: Any, encoder: Encoder, sample: Sample) -> None:
    need_same(logits, answer_logits(model, encoder.batch([sample]))[0])


def pad_teachers(kept: Sequence[Kept], width: int) -> Tensor:
    """Stack distributions [T_i, V] to [B, width, V], aligned on the right like the answers; zeros elsewhere."""
    teachers = [whole(one) for one in kept]
    padded = torch.zeros(len(teachers), width, teachers[0].shape[1])
    for row, teacher in enumerate(teachers):
        padded[row, width - len(teacher) :] = teacher
    return padded
