"""Answers as tokens on a scale of the teacher's entropy: the key-token heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from tokenizers import decoders

from components.report.answers import visible

COLUMNS = ("record_id", "question", "position", "token", "entropy", "key")
LEVELS = 8
"""Steps of the colour scale, 0 to LEVELS - 1; report.css has a class for each."""
END = "⟨end⟩"


@dataclass(frozen=True)
class Token:
    """One token of an answer: its text, the teacher's entropy in nats, its step on the scale, key or not."""

    text: str
    entropy: float
    level: int
    key: bool


@dataclass(frozen=True)
class TokenAnswer:
    """One answer to forget, in tokens."""

    person_id: str
    question: str
    tokens: list[Token]


def heat_map(rows: Sequence[dict[str, Any]], count: int) -> tuple[list[TokenAnswer], float]:
    """Return ``count`` answers, of as many people as there are, and the entropy (nats) at the top of the scale.

    Args:
        rows: of unlearning/key_tokens.parquet: the tokens of each answer in reading order, the end token last.
        count: how many answers.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["record_id"], []).append(row)
    people: dict[str, list[list[dict[str, Any]]]] = {}
    for record_id, tokens in groups.items():
        people.setdefault(record_id.split("/")[0], []).append(tokens)
    turned = [people[p][i % len(people[p]) :] + people[p][: i % len(people[p])] for i, p in enumerate(sorted(people))]
    chosen = [tokens for group in zip_longest(*turned) for tokens in group if tokens is not None][:count]
    top = max((row["entropy"] for row in rows), default=0.0)
    byte_level = any("Ġ" in row["token"] for row in rows)
    return [_answer(tokens, top, byte_level) for tokens in chosen], top


def texts(tokens: Sequence[str], byte_level: bool) -> list[str]:
    """Return what each token of an answer adds to its text.

    Byte-level tokens stand for bytes (Ġ is a space): a character whose bytes lie in several of them is shown at the
    last one. SentencePiece's ▁ becomes a space; tokens that are text already stay as they are.
    """
    if not byte_level:
        return [token.replace("▁", " ") for token in tokens]
    decoder = decoders.ByteLevel()
    shown, before = [], ""
    for i in range(1, len(tokens) + 1):
        text = decoder.decode(list(tokens[:i])).rstrip("\ufffd")
        shown.append(text[len(before) :])
        before = text
    return shown


def _answer(rows: list[dict[str, Any]], top: float, byte_level: bool) -> TokenAnswer:
    shown = [*texts([row["token"] for row in rows[:-1]], byte_level), END]
    tokens = [
        Token(visible(text) or "·", row["entropy"], _level(row["entropy"], top), row["key"])
        for text, row in zip(shown, rows, strict=True)
    ]
    return TokenAnswer(rows[0]["record_id"].split("/")[0], visible(rows[0]["question"]), tokens)


def _level(entropy: float, top: float) -> int:
    return min(LEVELS - 1, max(0, int(entropy / top * LEVELS))) if top > 0 else 0
