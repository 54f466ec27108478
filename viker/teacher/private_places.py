"""Where in an answer its private values stand, by tokens."""

from collections.abc import Sequence

from viker.data.samples import Sample
from viker.metrics.base.floors import spans_of_values
from viker.models.encoder import Encoder


def places_of_each(encoder: Encoder, sample: Sample, values: Sequence[str]) -> list[list[int]]:
    """Return for each mention of a private value in the answer the places of its tokens, whatever case and spacing."""
    places, spans = encoder.answer_places(sample), spans_of_values(sample.answer, values)
    return [[n for n, (a, b) in enumerate(places) if a < end and start < b] for start, end in spans]


def places_of_values(encoder: Encoder, sample: Sample, values: Sequence[str]) -> list[int]:
    """Return the places of the answer's tokens that are part of a private value, in order."""
    return sorted({place for places in places_of_each(encoder, sample, values) for place in places})
