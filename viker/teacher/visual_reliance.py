"""Whether a model looks at the pictures at all, or tells private values from the question alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from viker.data.records import read_records
from viker.data.samples import Sample, sample_of
from viker.metrics.base.private_values import judged
from viker.models.encoder import Encoder
from viker.teacher.distributions import full
from viker.teacher.private_places import places_of_each
from viker.teacher.visual import compute_teachers

LOW = 0.5
"""Of reliance; below, the irrelevant teacher knows much of what the model knows."""


def visual_reliance(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    images: Sequence[Sequence[str]],
    values: Mapping[str, Sequence[str]],
    people: Mapping[str, str],
) -> dict[str, float]:
    """Return how often the frozen model tells private values right, by what picture it is shown.

    A value is told where each of its tokens is the likeliest after the true ones before: with the ``own`` picture,
    ``another`` person's, an ``irrelevant`` one, and ``none``; ``reliance`` is own - irrelevant. Shares of the values,
    between 0 and 1, in samples with a picture; ``values`` and ``people`` are counted. {} where there is none. By value
    and not by token, as most tokens behind a value's first follow from it by spelling, whatever the picture. One pass
    over the answers for each of the four, where replies would take one per token. ``images``: of each sample the
    irrelevant ones, of which the first is shown.
    """
    places = {s: places_of_each(encoder, s, values.get(s.record_id, ())) for s in samples if s.picture}
    chosen = [sample for sample, own in places.items() if own]
    if not chosen:
        return {}
    irrelevant = dict(zip(samples, images, strict=True))
    pictures = {people[s.record_id]: s.picture for s in chosen}
    shown = {
        "own": [s.picture for s in chosen],
        "another": [_next(pictures, people[s.record_id]) for s in chosen],
        "irrelevant": [irrelevant[s][0] for s in chosen],
        "none": [""] * len(chosen),
    }
    total = sum(len(places[s]) for s in chosen)
    told: dict[str, float] = {}
    for kind, keys in shown.items():
        answers = compute_teachers(model, encoder, chosen, [[key] for key in keys])
        right = 0
        for sample, p in zip(chosen, answers, strict=True):
            hits = full(p).argmax(-1) == encoder.answer_ids(sample)
            right += sum(bool(hits[own].all()) for own in places[sample])
        told[kind] = right / total
    counts = {"values": total, "people": len(pictures)}
    return told | {"reliance": told["own"] - told["irrelevant"]} | counts


def reliance_on_pictures(
    model: Any, encoder: Encoder, prepared: Path, irrelevant: str, most: int | None = None
) -> dict[str, float]:
    """Return the ``visual_reliance`` of the vanilla model on the questions to forget, at ``most`` so many.

    ``irrelevant``: the key of an irrelevant image among the encoder's pictures, which hold those of ``prepared`` too.
    """
    records = judged({split: read_records(prepared, split) for split in ("forget", "retain")})["forget"]
    asked = [one for one in records if one.task == "qa" and one.images][:most]
    values = {one.id: one.secrets for one in asked}
    samples, people = [sample_of(one) for one in asked], {one.id: one.person_id for one in asked}
    return visual_reliance(model, encoder, samples, [[irrelevant]] * len(samples), values, people)


def described(told: Mapping[str, float]) -> str:
    """Return the shares of ``visual_reliance`` in words."""
    own, another, irrelevant, none = (f"{100 * told[of]:.0f} %" for of in ("own", "another", "irrelevant", "none"))
    return (
        f"of {told['values']:.0f} private values the model tells {own} with the person's own picture, {another} with "
        f"another person's, {irrelevant} with an irrelevant one, {none} with none: visual reliance "
        f"{told['reliance']:.2f}"
    )


def _next(pictures: Mapping[str, str], person: str) -> str:
    """Return the picture of the person that follows ``person``; the own one if there is nobody else."""
    order = sorted(pictures)
    return pictures[order[(order.index(person) + 1) % len(order)]]
