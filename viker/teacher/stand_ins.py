"""Distributions of the frozen model with somebody else in the person's place: another picture, another name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import torch

from viker.data.names import about, mentions
from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.teacher.distributions import TeacherDistributions, compact, full
from viker.teacher.visual import blocks, compute_teachers


@dataclass(frozen=True)
class StandIn:
    """Who takes a person's place: ``picture``, a key of the encoder's, "" for none; ``name``, "": left as it is."""

    picture: str = ""
    name: str = ""


@dataclass(frozen=True)
class FrozenModel:
    """The model before unlearning, in evaluation mode, and how its answers are read."""

    model: Any
    encoder: Encoder
    batch_size: int | None = None
    """How many samples follow a picture in one pass; None: see ``compute_teachers``."""


@torch.no_grad()
def teach_by_stand_ins(
    frozen: FrozenModel, samples: Sequence[Sample], stand_ins: Sequence[Sequence[StandIn]], names: Mapping[str, str]
) -> list[TeacherDistributions]:
    """Return for each sample the teacher's distributions [T, V] at its T answer tokens, on the CPU.

    p_t = 1/k sum_j p(. | I_j, x_j, y_j,<t): picture of the j-th of the sample's k stand-ins, question and true prefix
    with the stand-in's name in place of the person's, by the frozen model. At the tokens of the name itself, which the
    question gives away, it is the mean over the stand-ins' pictures with the text as it stands.

    Args:
        frozen: its encoder has the stand-ins' pictures.
        samples: the person's own pictures are not looked at.
        stand_ins: of each sample, at least one.
        names: the person's name by record ID; the text of a record without one stands as it is.

    Source: pictures, Cai et al., arXiv 2601.22020; names, this project.
    """
    model, encoder, batch_size = frozen.model, frozen.encoder, frozen.batch_size
    pictures = [list(dict.fromkeys(one.picture for one in own)) for own in stand_ins]
    renamed = [i for i, own in enumerate(stand_ins) if any(_as(samples[i], one, names) != samples[i] for one in own)]
    plain = [i for i in range(len(samples)) if i not in set(renamed)]
    shown = [[one.picture for one in stand_ins[i]] for i in plain]
    taught = dict(
        zip(plain, compute_teachers(model, encoder, [samples[i] for i in plain], shown, batch_size), strict=True)
    )
    counts = [encoder.encode(samples[i])[1] for i in renamed]
    for block in blocks(counts, model.config.get_text_config().vocab_size) if renamed else ():
        group = [renamed[n] for n in block]
        asked, unnamed = [samples[i] for i in group], [pictures[i] for i in group]
        own = [full(p) for p in compute_teachers(model, encoder, asked, unnamed, batch_size)]
        sums, seen = [torch.zeros_like(p) for p in own], [torch.zeros(len(p), 1) for p in own]
        for turn in range(max(len(stand_ins[i]) for i in group)):
            places = [n for n, i in enumerate(group) if turn < len(stand_ins[i])]
            others = [stand_ins[group[n]][turn] for n in places]
            changed = [_as(asked[n], one, names) for n, one in zip(places, others, strict=True)]
            answers = compute_teachers(model, encoder, changed, [[one.picture] for one in others], batch_size)
            for n, one, new, p in zip(places, others, changed, answers, strict=True):
                here, there = _aligned(encoder, asked[n], names[asked[n].record_id], new, one.name)
                sums[n][here] += full(p)[there]
                seen[n][here] += 1
        means = (torch.where(n > 0, s / n.clamp(min=1), p) for s, n, p in zip(sums, seen, own, strict=True))
        taught |= zip(group, map(compact, means), strict=True)
    return [taught[i] for i in range(len(samples))]


def _as(sample: Sample, one: StandIn, names: Mapping[str, str]) -> Sample:
    """Return the sample with the stand-in's name in its text."""
    name = names.get(sample.record_id)
    if not name or not one.name:
        return sample
    return replace(sample, prompt=about(sample.prompt, name, one.name), answer=about(sample.answer, name, one.name))


def _aligned(encoder: Encoder, own: Sample, name: str, renamed: Sample, other: str) -> tuple[list[int], list[int]]:
    """Return the places of the answer tokens that two answers share, names left out, in each of them."""
    (here, first), (there, second) = _around(encoder, own, name), _around(encoder, renamed, other or name)
    matching = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    pairs = [(here[a + n], there[b + n]) for a, b, size in matching for n in range(size)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _around(encoder: Encoder, sample: Sample, name: str) -> tuple[list[int], list[int]]:
    """Return places and ids of the answer's tokens that are no part of ``name``."""
    ids, count = encoder.encode(sample)
    named = [found.span() for found in mentions(name).finditer(sample.answer)]
    spans = encoder.answer_places(sample)
    places = [n for n, (a, b) in enumerate(spans) if not any(a < end and start < b for start, end in named)]
    return places, [ids[-count:][n] for n in places]
