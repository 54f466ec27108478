"""Which records an evaluation asks about, and which it shows as examples before others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viker.data.protocols import Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from viker.data.records import Record

Examples = dict[tuple[str, str], list["Record"]]
"""The records shown before a question, by task and modality."""


def shown_examples(retain: Sequence[Record], protocol: Protocol) -> Examples:
    """Return the protocol's examples by task and modality: of the first people in ``retain``, their first questions."""
    people: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in retain:
        if record.task == "cloze" or (record.task == "classification" and record.correct):
            people.setdefault((record.task, record.modality), {}).setdefault(record.person_id, []).append(record)
    examples: Examples = {}
    for (task, modality), by_person in people.items():
        wanted = getattr(protocol, task).examples
        chosen = list(by_person.values())[: wanted.people]
        examples[task, modality] = [record for own in chosen for record in own[: wanted.questions]]
    return examples


def examples_for(record: Record, examples: Mapping[tuple[str, str], Sequence[Record]]) -> Sequence[Record]:
    """Return the examples that are shown before a record's question; none before a choice from a list."""
    listed = record.task == "classification" and not record.correct
    return () if listed else examples.get((record.task, record.modality), ())


def is_asked(record: Record, examples: Mapping[tuple[str, str], Sequence[Record]]) -> bool:
    """Return whether an evaluation asks it: not what models are trained on, nor the task of an example's person."""
    shown = examples_for(record, examples)
    return record.task != "qa" and all(example.person_id != record.person_id for example in shown)
