"""What keeps earlier requests forgotten while the next is trained: what the starting model says of invented people.

Whom earlier requests forgot is in no data any more. What the model learnt to say in their place shows wherever it is
asked about people whom it doesn't know, most where it departs from the vanilla model. No record of theirs is needed,
and nothing is kept from night to night.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from viker.core.distributed import processes
from viker.data.names import COUNT, about, names_of_nobody
from viker.data.records import as_png, open_picture
from viker.data.samples import Sample
from viker.methods.base.tokens import divergence, log_probabilities
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits
from viker.teacher.distributions import TeacherDistributions, compact
from viker.training.settings import UnlearnParams

log = logging.getLogger(__name__)

DRAWN = 3
"""Questions that are drawn for each one held."""
HOLD_BATCH = 8
"""Questions that are asked at once before training."""
SIDE = 672
"""Pixels; a blend is no larger, for hundreds are in memory."""
SHARES = (0.3, 0.7)
"""Between which the share of the first picture in a blend lies: neither of the two people is shown."""


@dataclass(frozen=True)
class Held:
    """Questions, what the starting model says, [T, V] at each answer's tokens, and how far that is from vanilla."""

    samples: Sequence[Sample]
    said: Sequence[TeacherDistributions]
    divergence: float
    """The mean over the questions of the sum over tokens of KL(starting model || vanilla), nats, at least 0."""


def questions_to_hold(
    params: UnlearnParams,
    seed: int,
    encoder: Encoder,
    forget: Sequence[Sample],
    retain: Sequence[Sample],
    names: Mapping[str, str],
) -> list[Sample]:
    """Return questions about invented people, and give their pictures to ``encoder``; none where nothing is held.

    It warns if a run that starts from an adapter has nothing to hold. Arguments: ``invented_people``.
    """
    if not params.holds:
        return []
    count = DRAWN * params.hold.questions
    invented, blends = invented_people(forget, retain, encoder.pictures, names, count, seed)
    encoder.pictures |= blends
    if not invented and processes().is_main_process:
        log.warning(
            "nothing holds what the adapter in unlearn.start_from has forgotten: nobody can be invented from the "
            "retain set, which has neither pictures of two people nor names. Earlier people may come back: ask about "
            "them before you promote."
        )
    return invented


def invented_people(
    forget: Sequence[Sample],
    retain: Sequence[Sample],
    pictures: Mapping[str, bytes],
    names: Mapping[str, str],
    count: int,
    seed: int,
) -> tuple[list[Sample], dict[str, bytes]]:
    """Return ``count`` questions about people who don't exist, and the pictures that they are asked with.

    A retained person's question, with a blend of two retained people's pictures in place of the picture, and a name put
    together from two names in place of the name, in question and answer. Questions with neither are left out, and
    nothing is returned where there are no others.

    Args:
        forget: the questions to forget; no word of these people's names is in an invented one.
        retain: the questions to draw from.
        pictures: by key.
        names: of the people, by record ID.
        count: how many.
        seed: draws everything.

    Source: blends, Zhang et al., "mixup", arXiv 1710.09412; their use here, this project.
    """
    drawn = random.Random(seed)
    shown = sorted({sample.picture for sample in retain if sample.picture})
    others = names_of_nobody(names, {sample.record_id for sample in forget}, seed, max(count, COUNT))
    fit = [s for s in retain if (len(shown) > 1 if s.picture else s.record_id in names)]
    samples, blends = [], {}
    for number in range(count if fit else 0):
        sample, other = drawn.choice(fit), drawn.choice(others)
        changed = replace(sample, record_id=f"invented/{number}")
        if sample.picture:
            one, two = (open_picture(pictures[key]) for key in drawn.sample(shown, 2))
            one.thumbnail((SIDE, SIDE))
            blend = Image.blend(one, two.resize(one.size), drawn.uniform(*SHARES))
            changed = replace(changed, picture=changed.record_id)
            blends[changed.picture] = as_png(blend)
        if name := names.get(sample.record_id):
            question, answer = (about(text, name, other) for text in (sample.prompt, sample.answer))
            changed = replace(changed, prompt=question, answer=answer)
        samples.append(changed)
    return samples, blends


@torch.no_grad()
def most_changed(adapted: Any, encoder: Encoder, samples: Sequence[Sample], count: int, size: int) -> Held:
    """Return the ``count`` of ``samples`` about which the model says most else than the vanilla one, and what it says.

    ``adapted``: with the adapter that training starts from. ``size``: how many are asked at once. Every process asks
    everything, as a sharded model needs.
    """
    said: list[TeacherDistributions] = []
    apart: list[float] = []
    starts = range(0, len(samples), size)
    for start in tqdm(starts, desc="hold", unit="batch", disable=not processes().is_main_process):
        batch = encoder.batch(samples[start : start + size])
        p = log_probabilities(answer_logits(adapted, batch), batch.answers).exp()
        with adapted.disable_adapter():
            vanilla = log_probabilities(answer_logits(adapted, batch), batch.answers)
        lengths = batch.mask.sum(-1).tolist()
        apart += [float(part.sum()) for part in divergence(p, vanilla).split(lengths)]
        said += [compact(part.clone()) for part in p.cpu().split(lengths)]
    chosen = sorted(sorted(range(len(samples)), key=lambda number: -apart[number])[:count])
    mean = sum(apart[number] for number in chosen) / len(chosen)
    return Held([samples[number] for number in chosen], [said[number] for number in chosen], mean)
