"""The visual teacher: the frozen model's next-token distributions when it sees irrelevant images."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from viker.core.distributed import processes
from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.kept_prefixes import KeptPrefixes
from viker.models.logits import answer_logits
from viker.models.pass_size import PassSize, free_bytes
from viker.models.shared_prefix import TREE, split_at_picture
from viker.models.sizes import language_sizes, lengths_of
from viker.teacher.distributions import TeacherDistributions, compact, full
from viker.teacher.memory import BLOCK_BYTES, teacher_batch

TEACHER_BATCH = 8
"""Samples that a run lets follow an image in one pass on the CPU; on a GPU see ``teacher_batch``."""
PASS = PassSize("full batch of the teacher")


def teacher_probabilities(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    images: Sequence[Sequence[str]],
    batch_size: int | None = None,
) -> list[Tensor]:
    """Return ``compute_teachers`` in full: tensors [T, V], float32, on the CPU."""
    return list(map(full, compute_teachers(model, encoder, samples, images, batch_size)))


@torch.no_grad()
def compute_teachers(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    images: Sequence[Sequence[str]],
    batch_size: int | None = None,
) -> list[TeacherDistributions]:
    """Return for each sample the teacher's distributions [T, V] at its T answer tokens, on the CPU.

    p_t = 1/k sum_j p(. | I'_j, x, y_<t) over the k irrelevant images of the sample, with its own question and
    ground-truth prefix; its own picture is not looked at. ``images``: for each sample its k images, keys of the
    encoder's pictures. ``model`` must be the model before unlearning, in evaluation mode.

    An image, and the prompt before it, is read once and ``batch_size`` samples follow it in one pass, or fewer where
    the memory runs out; None: ``TEACHER_BATCH`` on the CPU, what fits on a GPU. A model that doesn't allow the fast
    path ``TREE`` reads each image again for each sample.

    Source: Cai et al., arXiv 2601.22020.
    """
    return TREE.take(
        model,
        lambda: _after_shared_prefixes(model, encoder, samples, images, batch_size),
        lambda: _plain(model, encoder, samples, images, batch_size or TEACHER_BATCH),
    )


def _after_shared_prefixes(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]], batch_size: int | None
) -> list[TeacherDistributions]:
    size = batch_size or begin_with(model, encoder, samples, images)
    counts = [encoder.encode(replace(s, picture=names[0]))[1] for s, names in zip(samples, images, strict=True)]
    teachers: list[TeacherDistributions] = []
    quiet = not processes().is_main_process
    with tqdm(total=sum(map(len, images)), desc="teacher", unit="answer", delay=1, disable=quiet) as bar:
        for block in blocks(counts, model.config.get_text_config().vocab_size):
            sums: dict[int, Tensor] = {}
            for image in dict.fromkeys(image for i in block for image in images[i]):
                shown = {i: replace(samples[i], picture=image) for i in block if image in images[i]}
                # questions that begin alike side by side, so that they share a tree's nodes
                numbers = sorted(shown, key=lambda i: split_at_picture(encoder, model, shown[i])[1])
                texts = [shown[i] for i in numbers]
                prefix = KeptPrefixes(model, encoder, texts)
                answers = PASS.each(model, texts, size, partial(_probabilities, prefix), prefix.release)
                for i, answer in zip(numbers, answers, strict=True):
                    sums[i] = sums[i].add_(answer) if i in sums else answer
                    bar.update()
            teachers += [compact(sums[i].div_(len(images[i]))).cpu() for i in block]
    return teachers


def begin_with(model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]]) -> int:
    """Return how many samples first follow an image in one pass: ``TEACHER_BATCH`` on the CPU, what fits on a GPU."""
    free = free_bytes(model.device)
    if free is None or not samples:
        return TEACHER_BATCH
    shown = [replace(sample, picture=names[0]) for sample, names in zip(samples, images, strict=True)]
    sizes, lengths = language_sizes(model.config), lengths_of(encoder, model, shown)
    return teacher_batch(sizes, model.dtype.itemsize, lengths, len(samples), free)


def _probabilities(prefix: KeptPrefixes, samples: Sequence[Sample]) -> list[Tensor]:
    """Return p [T, V] of each sample after one picture, float32, where the model is: the sums are made there."""
    prefixes, prompts = prefix.of(samples)
    logits, places = prefixes.tree_logits([prompts])
    p = logits.float().softmax(-1)
    del logits
    return [p[place] for place in places]


def _plain(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[Sequence[str]], batch_size: int
) -> list[TeacherDistributions]:
    def compute(group: Sequence[tuple[Sample, Sequence[str]]]) -> list[TeacherDistributions]:
        batches = [
            encoder.batch([replace(sample, picture=image) for (sample, _), image in zip(group, column, strict=True)])
            for column in zip(*(names for _, names in group), strict=True)
        ]
        mean = torch.stack([answer_logits(model, batch).float().softmax(-1) for batch in batches]).mean(0)
        return [compact(row[mask]).cpu() for row, mask in zip(mean, batches[0].mask, strict=True)]

    teachers = PASS.each(model, list(zip(samples, images, strict=True)), batch_size, compute)
    quiet = not processes().is_main_process
    return list(tqdm(teachers, total=len(samples), desc="teacher", unit="answer", delay=1, disable=quiet))


def blocks(counts: Sequence[int], vocabulary: int) -> Iterator[list[int]]:
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
