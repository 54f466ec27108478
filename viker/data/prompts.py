"""What a model is asked: a protocol's prompts around a record's question, and the reply that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viker.data.protocols import Protocol, load_protocol
from viker.data.tasks import OPEN_TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from viker.data.records import Record

LETTERS = "ABCD"


def classification_prompt(question: str, options: tuple[str, ...], protocol: Protocol | None = None) -> str:
    """Return the question, one line per option, and the protocol's request, which is this project's by default."""
    asked = (protocol or load_protocol()).classification
    lines = [asked.option.format(letter=letter, text=text) for letter, text in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines, *filter(None, [asked.request])])


def prompt_for(record: Record, protocol: Protocol | None = None, examples: Sequence[Record] = ()) -> str:
    """Return what to ask a model for ``record``, by its task and a protocol, this project's by default.

    ``examples``: solved questions that come before it; text alone, since a sample has one picture.
    """
    asked = protocol or load_protocol()
    shown = "".join(f"{_prompt(one, asked)}\n{target_for(one)}\n\n" for one in examples)
    return shown + _prompt(record, asked)


def target_for(record: Record) -> str:
    """Return the reply that is right for ``prompt_for(record)``: a letter if options have letters, else the answer."""
    return record.correct or record.answer


def _prompt(record: Record, protocol: Protocol) -> str:
    if record.task == "classification" and not record.correct:
        listed = protocol.classification_from_list
        return "\n".join(
            [record.question, *(listed.option.format(text=text) for text in record.options), listed.request]
        )
    if record.task == "classification":
        return classification_prompt(record.question, record.options, protocol)
    if record.task == "cloze":
        return f"{record.question.replace('__', protocol.cloze.blank)}\n{protocol.cloze.request}"
    request = getattr(protocol, record.task).request if record.task in OPEN_TASKS else ""
    return f"{record.question} {request}" if request else record.question
