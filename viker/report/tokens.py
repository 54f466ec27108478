"""Answers as tokens on a scale of the teacher's entropy: the key-token heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from viker.data.rephrased import source_id
from viker.models.token_texts import byte_level, texts
from viker.report.answers import Piece, in_turns, pieces, visible
from viker.report.redact import Pseudonyms, Redactor, Span

COLUMNS = ("record_id", "question", "position", "token", "entropy", "key")
OPTIONAL = ("probability",)
"""The teacher's probability of the true token, which records of older versions lack."""
LEVELS = 8
"""Steps of the colour scale, 0 to LEVELS - 1; report.css has a class for each."""
END = "⟨end⟩"


@dataclass(frozen=True)
class Token:
    """One token of an answer: its text, the teacher's entropy in nats, its step on the scale, key or not.

    ``hidden``: what is shown instead of it and of the other tokens of the same private value; "" if it is shown.
    """

    text: str
    entropy: float
    level: int
    key: bool
    hidden: str = ""


@dataclass(frozen=True)
class TokenAnswer:
    """One answer to forget, in tokens."""

    person: str
    question: list[Piece]
    tokens: list[Token]


def heat_map(
    rows: Sequence[dict[str, Any]],
    count: int,
    secrets: Mapping[str, Sequence[str]],
    redactor: Redactor,
    pseudonyms: Pseudonyms,
    redact: bool,
) -> tuple[list[TokenAnswer], float]:
    """Return up to ``count`` answers, spread over the people, and the entropy (nats) at the top of the scale.

    ``rows`` are of unlearning/key_tokens.parquet, in reading order, the end token last; ``secrets``, by record id, the
    private values. With ``redact`` one token stands for all tokens of a private value.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["record_id"], []).append(row)
    chosen = in_turns(groups.values(), lambda tokens: str(tokens[0]["record_id"].split("/")[0]))[:count]
    top = max((row["entropy"] for row in rows), default=0.0)
    of_bytes = byte_level([row["token"] for row in rows])
    answers = []
    for tokens in chosen:
        record_id = source_id(tokens[0]["record_id"])
        known = secrets.get(record_id, ())
        person = pseudonyms.person(record_id.split("/")[0])
        scaled = _tokens(tokens, top, of_bytes)
        if redact:
            scaled = _hide(scaled, redactor.spans("".join(token.text for token in scaled[:-1]), known))
        answers.append(TokenAnswer(person, pieces(tokens[0]["question"], redactor, known), scaled))
    return answers, top


def _tokens(rows: list[dict[str, Any]], top: float, of_bytes: bool) -> list[Token]:
    all_texts = [*texts([row["token"] for row in rows[:-1]], of_bytes), END]
    return [
        Token(visible(text), row["entropy"], level(row["entropy"], top), row["key"])
        for text, row in zip(all_texts, rows, strict=True)
    ]


def _hide(tokens: list[Token], spans: Sequence[Span]) -> list[Token]:
    """Return the tokens with one in place of all that a span touches: that of the highest entropy among them."""
    result: list[Token] = []
    start, before = 0, None
    for token in tokens[:-1]:
        end = start + len(token.text)
        span = next((s for s in spans if s[0] < end and start < s[1]), None)
        if span is None:
            result.append(token)
        elif span != before:
            result.append(replace(token, text="", hidden=span[2]))
        elif token.entropy > result[-1].entropy:
            result[-1] = replace(token, text="", hidden=result[-1].hidden, key=token.key or result[-1].key)
        start, before = end, span
    return [*result, tokens[-1]]


def level(entropy: float, top: float) -> int:
    """Return the step of an entropy on the scale up to ``top``, both in nats."""
    return min(LEVELS - 1, max(0, int(entropy / top * LEVELS))) if top > 0 else 0
