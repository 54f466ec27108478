"""Where in an answer its private values stand, by tokens."""

import re
from collections.abc import Sequence

from viker.data.samples import Sample
from viker.models.encoder import Encoder


def places_of_each(encoder: Encoder, sample: Sample, values: Sequence[str]) -> list[list[int]]:
    """Return for each mention of a private value in the answer the places of its tokens, whatever case and spacing."""
    patterns = [r"\s+".join(map(re.escape, value.split())) for value in values if value.strip()]
    spans = [found.span() for one in patterns for found in re.finditer(one, sample.answer, re.IGNORECASE)]
    places = encoder.answer_places(sample)
    return [[n for n, (a, b) in enumerate(places) if a < end and start < b] for start, end in spans]


def places_of_values(encoder: Encoder, sample: Sample, values: Sequence[str]) -> list[int]:
    """Return the places of the answer's tokens that are part of a private value, in order."""
    return sorted({place for places in places_of_each(encoder, sample, values) for place in places})
