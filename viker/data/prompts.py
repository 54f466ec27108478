"""What a model is asked: the benchmark's prompts around a record's question, zero-shot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viker.data.records import Record

LETTERS = "ABCD"


def classification_prompt(question: str, options: tuple[str, ...]) -> str:
    """Return the question, one line per option (``A: …``) and a request for one letter, as MLLMU-Bench does."""
    lines = [f"{letter}: {text}" for letter, text in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines, "Answer with one letter."])


def list_prompt(question: str, options: tuple[str, ...]) -> str:
    """Return the question and a request to choose from the list of options, as UMU-Bench does."""
    return f"{question}\nChoose the answer from this list: {', '.join(repr(text) for text in options)}."


def prompt_for(record: Record) -> str:
    """Return what to ask a model for ``record``, by its task; a cloze's blank ``__`` becomes ``[Blank]``."""
    if record.task == "classification" and not record.correct:
        return list_prompt(record.question, record.options)
    if record.task == "classification":
        return classification_prompt(record.question, record.options)
    if record.task == "cloze":
        return f"{record.question.replace('__', '[Blank]')}\nGive only the missing words."
    return record.question


def target_for(record: Record) -> str:
    """Return the reply that is right for ``prompt_for(record)``: a letter if options have letters, else the answer."""
    return record.correct or record.answer
