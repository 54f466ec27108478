"""How a model itself declines: its replies to questions about irrelevant pictures, which nobody could answer."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from viker.data.samples import Sample
from viker.generation.generate import replies
from viker.metrics.base.words import normalise
from viker.metrics.refusal import refuses
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.visual import TEACHER_BATCH

QUESTIONS = 64
"""How many questions a model is asked."""
MOST = 8
"""How many refusals are taken: those that it gives most often."""
TOKENS = 32
"""The tokens of a reply; a longer one is no plain refusal."""


def own_refusals(
    frozen: FrozenModel, samples: Sequence[Sample], images: Sequence[Sequence[str]], known: Collection[str]
) -> list[str]:
    """Return the model's greedy replies to questions about irrelevant pictures that decline, the most frequent first.

    A reply that has a value or name of ``known`` is left out: it would tell of one person what belongs to another.
    [] where the model never declines, or no sample has a picture.

    Args:
        frozen: its encoder has the pictures.
        samples: those with a picture are asked, evenly spaced if there are more than ``QUESTIONS``.
        images: for each sample the keys of its irrelevant images; the first one is shown.
        known: private values and names of all people.
    """
    asked = [replace(s, picture=seen[0]) for s, seen in zip(samples, images, strict=True) if s.picture]
    asked = asked[:: -(-len(asked) // QUESTIONS)] if asked else []
    said = replies(frozen.model, frozen.encoder, asked, TEACHER_BATCH, TOKENS, "refusals")
    told = [f" {value} " for value in map(normalise, known) if value]
    plain = Counter(
        reply
        for reply in said
        if refuses(reply) and _is_short(frozen, reply) and not any(value in f" {normalise(reply)} " for value in told)
    )
    return [reply for reply, _ in sorted(plain.items(), key=lambda one: (-one[1], one[0]))[:MOST]]


def _is_short(frozen: FrozenModel, reply: str) -> bool:
    return len(frozen.encoder.tokenizer(reply, add_special_tokens=False)["input_ids"]) < TOKENS
