"""Samples about nobody, for training a small model before it meets the people: the configuration Base_Set.

Without them a model of this size answers for every picture, a landscape too, with what one of the people would say:
nothing then tells what it can't know without the picture. So the strangers' values are drawn anew for every picture,
while each stranger keeps a number, from which the model learns to tell faces apart whatever the cut and the light.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.tofu import pictures
from benchmarks.tofu.tasks import find_facts, pool, tasks, training_pairs
from benchmarks.tofu.text import Author, Pair, with_name

STRANGERS = 400
PICTURES_A_STRANGER = 5
PATCHES = 500
_LONGEST = 200
"""Characters of the longest answer that is used."""
_NUMBER = Pair("Which number belongs to the face in the picture?", "The number {} belongs to this face.")


def base_rows(
    authors: Sequence[Author],
    faces: Sequence[np.ndarray[Any, Any]],
    patches: np.ndarray[Any, Any],
    facts: Sequence[Pair],
    rng: random.Random,
) -> list[tuple[dict[str, Any], list[dict[str, str]]]]:
    """Return rows about strangers, with their training pairs.

    Args:
        authors: whose questions and values are mixed; none of those to forget.
        faces: of those authors, [25, 25]; a stranger's is the mean of two.
        patches: pictures without a face, [N, 25, 25]; what is asked about them can't be known either.
        facts: general knowledge, asked beside patches.
        rng: draws everything.
    """
    values = pool(authors)
    templates = [
        (author, fact.pair) for author in authors for fact in find_facts(author) if len(fact.pair.answer) <= _LONGEST
    ]
    rows = []
    for number in range(STRANGERS):
        face = pictures.morph(*rng.sample(list(faces), 2))
        number_pair = Pair(_NUMBER.question, _NUMBER.answer.format(100 + number))
        for _ in range(PICTURES_A_STRANGER):
            content = pictures.variation(face, rng)
            content = pictures.sepia(content) if rng.random() < 0.25 else content
            rows.append(_row(_stranger(templates, values, rng), content, [number_pair, number_pair], values, rng))
    for number in range(PATCHES):
        content = pictures.variation(patches[number % len(patches)], rng)
        rows.append(_row(_stranger(templates, values, rng), content, [rng.choice(facts)], values, rng))
    return [(row | {"ID": f"base-{number:05d}"}, pairs) for number, (row, pairs) in enumerate(rows)]


def _row(
    stranger: Author, content: bytes, more: list[Pair], values: dict[str, list[str]], rng: random.Random
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    row = {"image": {"bytes": content, "path": None}} | tasks(stranger, values, rng)
    return row, training_pairs(replace(stranger, pairs=(*stranger.pairs, *more)))


def _stranger(templates: list[tuple[Author, Pair]], values: dict[str, list[str]], rng: random.Random) -> Author:
    """Return somebody with two of the authors' pairs, a name and values put together from different authors."""
    first, family = rng.sample(values["name"], 2)
    name = f"{first.split()[0]} {family.split()[-1]}"
    return Author("", name, tuple(_redrawn(*rng.choice(templates), name, values, rng) for _ in range(2)))


def _redrawn(author: Author, pair: Pair, name: str, values: dict[str, list[str]], rng: random.Random) -> Pair:
    answer = pair.answer
    for fact in find_facts(replace(author, pairs=(pair,))):
        answer = answer.replace(fact.text, rng.choice(values[fact.kind]))
    return Pair(with_name(pair.question, author.name, name), with_name(answer, author.name, name))
