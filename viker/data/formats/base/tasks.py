"""From the task columns of MLLMU-Bench and its kin to records."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from viker.core.settings import shown
from viker.data.canonical import canonical_text, spelling_in
from viker.data.formats.base.intake import BadRow
from viker.data.prompts import LETTERS
from viker.data.records import Record

MODALITIES = {
    **{"Image_Textual": "image_text", "Image_Textual_Questions": "image_text"},
    **{"Pure_Text": "text", "Pure_Text_Questions": "text"},
}


@dataclass
class Row:
    """A person's row: its questions by task, as the data has them.

    An item may have a ``Key``: a fact's, the same in the item with the picture and in the one of text alone. The
    records' IDs then end with key and modality, in place of a number.
    """

    where: str
    person_id: str
    images: tuple[str, ...]
    pairs: Sequence[Mapping[str, Any]] = ()
    """{Question, Answer} and maybe Type, else Image_Textual: what the model is trained on."""
    classification: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By modality: {Question, Options, Correct_Answer}, and ``from_list`` where the option is named by its text."""
    generation: Sequence[Mapping[str, Any]] = ()
    """{Question, Ground_Truth, Type}."""
    mask: Sequence[Mapping[str, Any]] = ()
    """{Question, Ground_Truth, Type}."""


def records_of(row: Row) -> list[Record]:
    """Return the records of a row: qa, generation, cloze, classification.

    The values of the person, for leakage, are the right options and the cloze's ground truths.

    Raises BadRow: a field is missing or empty, a letter has no option, or ``check_text`` refuses a text.
    """
    choices = [
        (_modality(row, kind, "Classification_Task"), choice)
        for kind, questions in row.classification.items()
        for choice in questions or []
    ]
    for _, choice in choices:
        letter, of_letter = choice.get("Correct_Answer"), choice.get("Options")
        if letter not in tuple(LETTERS) or not isinstance(of_letter, Mapping) or not of_letter.get(letter):
            message = f"Correct_Answer is {letter!r}, which Options lacks; expected one of {', '.join(LETTERS)}."
            raise BadRow(row.where, "Classification_Task", "no such option", message)
    right = {choice["Options"][choice["Correct_Answer"]]: choice["Options"] for _, choice in choices}
    private = {*right, *(mask["Ground_Truth"] or "" for mask in row.mask)} - {""}
    records: list[Record] = []

    def add(
        task: str, column: str, modality: str, question: Any, answer: Any, key: str | None = None, **more: Any
    ) -> None:
        if modality == "image_text" and not row.images:
            message = "a question about a picture, and the row has none; add it, or mark the question Pure_Text."
            raise BadRow(row.where, column, "picture", message)
        question = check_text(row.where, column, "question", question)
        answer = check_text(row.where, column, "answer", answer)
        wrong = [
            exchanged(answer, text, other)
            for text, options in right.items()
            if task in ("qa", "generation") and has(answer, text)
            for other in options.values()
            if other and other != text
        ]
        number = sum(record.task == task for record in records) if key is None else f"{key}/{modality}"
        records.append(
            Record(
                f"{row.person_id}/{task}/{number}",
                row.person_id,
                task,
                modality,
                question,
                answer,
                secrets=secrets_in(answer, question, private),
                perturbed_answers=tuple(wrong),
                images=row.images if modality == "image_text" else (),
                **more,
            )
        )

    for pair in row.pairs:
        modality = _modality(row, pair.get("Type", "Image_Textual"), "metadata")
        add("qa", "metadata", modality, pair["Question"], pair["Answer"])
    for task, column, items in (("generation", "Generation_Task", row.generation), ("cloze", "Mask_Task", row.mask)):
        for item in items:
            modality = _modality(row, item["Type"], column)
            add(task, column, modality, item["Question"], item["Ground_Truth"], item.get("Key"))
    for modality, choice in choices:
        options = tuple(choice["Options"].get(letter) or "" for letter in LETTERS)
        letter, question = choice["Correct_Answer"], choice["Question"]
        answer, key = choice["Options"][letter], choice.get("Key")
        correct = "" if choice.get("from_list") else letter
        add("classification", "Classification_Task", modality, question, answer, key, options=options, correct=correct)
    return records


def check_text(where: str, column: str, name: str, text: Any) -> str:
    """Return ``text`` if it can be a question or an answer.

    Raises BadRow: it is null, empty, no text, has a NUL character, or spells the image token.
    """
    if text is not None and not isinstance(text, str):
        raise BadRow(where, column, f"no text as {name}", f"the {name} is {shown(text)}; expected text, in quotes.")
    if not text or not canonical_text(text):
        raise BadRow(where, column, f"empty {name}", f"an empty {name}; complete or remove it.")
    if "\0" in text:
        raise BadRow(where, column, "NUL", f"the {name} has a NUL character; remove it.")
    if "<image>" in text:
        raise BadRow(where, column, "image token", f"the {name} spells '<image>', the place of a picture; remove it.")
    return text


def _modality(row: Row, kind: Any, column: str) -> str:
    if kind not in MODALITIES:
        raise BadRow(row.where, column, "unknown type", f"Type is {kind!r}; expected Image_Textual or Pure_Text.")
    return MODALITIES[kind]


def has(text: str, value: str) -> bool:
    """Return whether ``value`` stands in ``text`` as whole words, whatever their case and spelling."""
    return bool(canonical_text(value)) and _words(value).search(canonical_text(text)) is not None


def secrets_in(answer: str, question: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return the values that the answer gives away and the question doesn't, as the answer spells them, sorted."""
    given = {canonical_text(value): value for value in values if has(answer, value) and not has(question, value)}
    return tuple(sorted({spelling_in(answer, value) or value for value in given.values()}))


def exchanged(text: str, value: str, other: str) -> str:
    """Return ``text`` with ``other`` in place of ``value``; where it is spelt in another way, in canonical form."""
    if value in text:
        return text.replace(value, other)
    return _words(value).sub(lambda _: other, canonical_text(text))


@lru_cache
def _words(value: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(canonical_text(value))}(?!\w)", re.IGNORECASE)
