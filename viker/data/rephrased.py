"""Rephrased records: the fact of a record to forget asked for by name, or told by the model in its own words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from viker.data.records import Record

BY_NAME, OWN_REPLY = "#by_name", "#own_reply"
"""How the IDs of rephrased records end."""
_WHOM = re.compile(
    r"\b(?:this|that|the) (?:person|man|woman|individual)(?: (?:who is |that is )?(?:shown|pictured|depicted|seen))?"
    r"(?: (?:here|(?:in|on) (?:this|that|the) (?:picture|photo|image|photograph|portrait)))?\b",
    re.IGNORECASE,
)


def source_id(record_id: str) -> str:
    """Return the ID of the record that a rephrased one was made from; any other ID unchanged."""
    return record_id.removesuffix(OWN_REPLY).removesuffix(BY_NAME)


def by_name(records: Sequence[Record], names: Mapping[str, str]) -> list[Record]:
    """Return, for each private value that is asked for with a picture alone, a record that asks for it by name.

    The name takes the place of "this person", "the woman in the photo" in question and answer. A question without such
    words, and one about a person whose name isn't known, yields none. ``names``: by record ID, of ``names_in_text``.
    """
    asked = {(record.person_id, value) for record in records if not record.images for value in record.secrets}
    rephrased = []
    for record in records:
        values = {(record.person_id, value) for value in record.secrets}
        if record.images and record.id in names and values - asked and _WHOM.search(record.question):
            rephrased.append(_named(record, names[record.id]))
            asked |= values
    return rephrased


def _named(record: Record, name: str) -> Record:
    question, answer = (_WHOM.sub(lambda _: name, text) for text in (record.question, record.answer))
    record = replace(record, id=record.id + BY_NAME, modality="text", question=question, answer=answer)
    return replace(record, images=(), paraphrases=(), perturbed_answers=())


def own_reply(record: Record, reply: str) -> Record:
    """Return the record with the model's own reply for an answer."""
    return replace(record, id=record.id + OWN_REPLY, answer=reply, paraphrases=(), perturbed_answers=())
