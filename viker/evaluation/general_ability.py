"""General ability: common knowledge, and what anybody sees in a picture. Is only the person forgotten?

A small set of questions of its own, about nobody, which needs no network; each has four answers that differ in one
value. The model's choice is the answer that it finds likeliest per token, so a model that can't follow a format can be
asked too. Source: this project; choice by length-normalised likelihood: Gao et al., "A framework for few-shot language
model evaluation", 2021. For benchmarks by name see ``viker.evaluation.harness``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from viker.core.files import sha256_bytes
from viker.data.synthetic.faces import COLOURS, picture, random_face
from viker.evaluation.common_knowledge import COMMON_KNOWLEDGE
from viker.metrics.base.statistics import exact_interval, mean

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "general_ability"
"""Its block of each model in metrics/evaluate.json."""
KINDS = ("seen", "known")
ANSWERS = 4
_FACES, _SIDE = 8, 224
LOOKS = {
    "hair": ("What colour is the hair of this person?", "The hair of this person is {}."),
    "shirt": ("What colour is the shirt of this person?", "The shirt of this person is {}."),
    "background": ("What colour is behind this person?", "The colour behind this person is {}."),
}
"""What is asked of each face, by its feature, and the answer around a gap."""


@dataclass(frozen=True)
class Choice:
    """A question with four answers, of which ``right`` (0..3) is true; ``picture``: its hash, "" for none."""

    kind: str
    question: str
    answers: tuple[str, ...]
    right: int
    picture: str = ""


def drawn_pictures() -> dict[str, bytes]:
    """Return the pictures of the questions, of drawn faces of nobody, by hash."""
    return {key: content for key, (content, _) in _faces().items()}


@cache
def general_questions() -> tuple[Choice, ...]:
    """Return the questions, always the same, with the right answer in each place equally often."""
    asked: list[tuple[str, str, str, Sequence[str], str]] = []
    rng = random.Random(1)
    for key, (_, face) in _faces().items():
        for look, (question, answer) in LOOKS.items():
            colour = getattr(face, look)
            wrong = rng.sample([one for one in COLOURS if one != colour], ANSWERS - 1)
            asked.append(("seen", question, answer, (colour, *wrong), key))
    asked += [("known", question, answer, values, "") for question, answer, *values in COMMON_KNOWLEDGE]
    choices = []
    for number, (kind, question, answer, (true, *wrong), shown) in enumerate(asked):
        right = number % ANSWERS
        values = [*wrong[:right], true, *wrong[right:]]
        choices.append(Choice(kind, question, tuple(map(answer.format, values)), right, shown))
    return tuple(choices)


@cache
def _faces() -> dict[str, tuple[bytes, Any]]:
    rng, faces = random.Random(0), {}
    for _ in range(_FACES):
        face = random_face(rng)
        content = picture(face, _SIDE, rng)
        faces[sha256_bytes(content)] = (content, face)
    return faces


def count_ability(choices: str, vanilla: str) -> dict[str, Any]:
    """Return the numbers of one model, each a share of questions, 0..1, higher is better.

    ``accuracy``: answered rightly, guessing gives .25; ``seen``, ``known``: of the questions with a drawn picture, and
    of common knowledge; ``agreement``: answered as the vanilla model does. ``intervals``: exact 95 % bounds, each by
    itself. ``choices``: as given, from which all of it is counted again.
    """
    questions = general_questions()
    rights = [str(one.right) == choice for one, choice in zip(questions, choices, strict=True)]
    values = {"accuracy": rights}
    for kind in KINDS:
        values[kind] = [right for right, one in zip(rights, questions, strict=True) if one.kind == kind]
    values["agreement"] = [choice == usual for choice, usual in zip(choices, vanilla, strict=True)]
    numbers = {name: list(map(float, hits)) for name, hits in values.items()}
    block: dict[str, Any] = {name: mean(hits) for name, hits in numbers.items()}
    block["intervals"] = {name: exact_interval(hits) for name, hits in numbers.items()}
    return block | {"samples": len(questions), "choices": choices}
