"""The answers that the report shows before and after unlearning, and where in them the private values are."""

import base64
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, TypeVar

from viker.data.records import OPEN_TASKS, Record, open_picture
from viker.report.redact import Pseudonyms, Redactor
from viker.report.tables import MODELS

_OF_RECORD = ("record_id", "person_id", "task", "modality")
COLUMNS = ("model", "split", *_OF_RECORD, "picture", "question", "answer", "reply", "leaked")
SHARES = {"forget": 0.5, "test": 0.25, "retain": 0.25}
"""The share of the answers that come from each split, in this order."""
THUMBNAIL = 192
"""Pixels of the longer side, at most."""

NOTHING = "nothing recorded"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Piece:
    """A part of a text; ``kind`` is one of ``redact``'s, or "" if it is not private; redacted, its kind is shown."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Reply:
    """What one model said; ``leaked`` is None where the question has no private value."""

    pieces: list[Piece]
    leaked: bool | None


@dataclass(frozen=True)
class Answer:
    """One question with its picture, the truth and both models' replies."""

    split: str
    person: str
    question: list[Piece]
    picture: str | None
    """PNG as a data URI, "" where the question has no picture, None where it is withheld."""
    truth: list[Piece]
    replies: dict[str, Reply]


def choose(predictions: Sequence[dict[str, Any]], count: int) -> list[list[dict[str, Any]]]:
    """Return up to ``count`` questions, each as its predictions, one per model.

    Only questions answered in free text. On forget and test those that the unlearned model still leaks come first, so
    that the report hides no failure; then they alternate between people and, for each person, questions.
    """
    queues = {split: _queue(split, predictions) for split in SHARES}
    sizes = {split: round(count * share) for split, share in SHARES.items()}
    sizes["forget"] += count - sum(sizes.values())
    chosen = {split: queue[: sizes[split]] for split, queue in queues.items()}
    for split, queue in queues.items():  # if one split has too few, the others make up for it, in their order
        room = count - sum(map(len, chosen.values()))
        chosen[split] += queue[len(chosen[split]) :][:room]
    return list(chain.from_iterable(chosen.values()))


def answers(
    predictions: Sequence[dict[str, Any]],
    records: dict[tuple[str, str], Record],
    pictures: dict[str, bytes] | None,
    count: int,
    redactor: Redactor,
    pseudonyms: Pseudonyms,
) -> list[Answer]:
    """Return up to ``count`` questions with both models' replies, as the report shows them.

    ``predictions`` are rows of evaluation/predictions.parquet, ``records`` by split and id, ``pictures`` encoded, by
    hash, or None if no picture may be shown.
    """
    chosen = []
    for rows in choose(predictions, count):
        first = rows[0]
        record = records.get((first["split"], first["record_id"]))
        secrets = record.secrets if record else ()
        replies = {row["model"]: Reply(pieces(row["reply"], redactor, secrets), row["leaked"]) for row in rows}
        chosen.append(
            Answer(
                split=first["split"],
                person=pseudonyms.person(first["person_id"]),
                question=pieces(first["question"], redactor, secrets),
                picture=_picture(first["picture"], pictures),
                truth=pieces(first["answer"], redactor, secrets),
                replies={model: replies.get(model, Reply([Piece(NOTHING)], None)) for model in MODELS},
            )
        )
    return chosen


def pieces(text: str, redactor: Redactor, secrets: Sequence[str]) -> list[Piece]:
    """Cut ``text`` where something private begins or ends; the pieces joined are the text.

    This only shows where private values are; whether a reply leaks is decided by the evaluation.
    """
    text = visible(text)
    cut, position = [], 0
    for start, end, kind in redactor.spans(text, secrets):
        cut += [Piece(text[position:start]), Piece(text[start:end], kind)]
        position = end
    return [piece for piece in (*cut, Piece(text[position:])) if piece.text]


def visible(text: str) -> str:
    """Return ``text`` with control characters, which HTML forbids, replaced by U+FFFD."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text)


def data_uri(content: bytes) -> str:
    """Return a picture as a PNG data URI, scaled down to a thumbnail if it is larger."""
    image = open_picture(content)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _picture(key: str, pictures: dict[str, bytes] | None) -> str | None:
    if not key:
        return ""
    return data_uri(pictures[key]) if pictures is not None and key in pictures else None


def _queue(split: str, predictions: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    questions: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in predictions:
        if row["split"] == split and row["task"] in ("qa", *OPEN_TASKS):
            questions.setdefault((row["record_id"], row["picture"]), []).append(row)
    queue = in_turns(questions.values(), lambda rows: str(rows[0]["person_id"]))
    if split == "retain":
        return queue
    return sorted(queue, key=lambda rows: not any(row["model"] == "unlearned" and row["leaked"] for row in rows))


def in_turns(items: Iterable[Item], person_of: Callable[[Item], str]) -> list[Item]:
    """Return the items, of each person one in turn, each person beginning one item later than the last."""
    people: dict[str, list[Item]] = {}
    for item in items:
        people.setdefault(person_of(item), []).append(item)
    groups = [people[person] for person in sorted(people)]
    rotated = [group[place % len(group) :] + group[: place % len(group)] for place, group in enumerate(groups)]
    return [item for turn in zip_longest(*rotated) for item in turn if item is not None]
