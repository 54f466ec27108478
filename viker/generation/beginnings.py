"""What several prompts about a picture begin with after it, such as a protocol's examples: computed once for all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from viker.models.shared_prefix import Prompt

WORTHWHILE = 64
"""Tokens that prompts must begin with alike: fewer aren't worth a pass of their own."""
LEFT = 2
"""Tokens of each prompt that are never part of its beginning: one token alone would pass for a step of the reply."""


@dataclass(frozen=True)
class Beginnings:
    """The beginnings of B prompts, and what is left of them.

    ``prompts``: G of them, whose texts are the beginnings. ``rows``: for each of the B its place among these.
    ``lengths``: of each of the B how many tokens of that it begins with: all, or none. ``rests``: the B prompts, their
    texts without these.
    """

    prompts: list[Prompt]
    rows: list[int]
    lengths: list[int]
    rests: list[Prompt]


def shared_beginnings(prompts: Sequence[Prompt]) -> Beginnings | None:
    """Return what prompts about the same picture begin with alike; None where that is too little."""
    groups: dict[tuple[int, tuple[int, ...]], list[Prompt]] = {}
    for prompt in prompts:
        groups.setdefault(_key(prompt), []).append(prompt)
    common = {key: _common([prompt.tail for prompt in group]) for key, group in groups.items()}
    places = {key: place for place, key in enumerate(key for key in groups if common[key])}
    if not places:
        return None
    beginnings = [replace(groups[key][0], tail=groups[key][0].tail[: common[key]]) for key in places]
    rows = [places.get(_key(prompt), 0) for prompt in prompts]
    lengths = [common[_key(prompt)] for prompt in prompts]
    rests = [replace(prompt, tail=prompt.tail[length:]) for prompt, length in zip(prompts, lengths, strict=True)]
    return Beginnings(beginnings, rows, lengths, rests)


def _key(prompt: Prompt) -> tuple[int, tuple[int, ...]]:
    return prompt.row, tuple(prompt.tail[:WORTHWHILE])


def _common(texts: list[list[int]]) -> int:
    """Return how many tokens all of ``texts`` begin with, ``LEFT`` besides in each; 0 for a single one or too few."""
    first, last = min(texts), max(texts)  # what these two begin with, all between them do
    alike = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    common = min(alike, min(map(len, texts)) - LEFT)
    return common if len(texts) > 1 and common >= WORTHWHILE else 0
