"""Protocols: how an evaluation asks, one YAML file per benchmark in this folder.

A protocol decides prompts, examples shown first and the length of replies. Two evaluations are comparable only where
their protocols are the same: metrics and report have its hash.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from viker.core.files import sha256_json
from viker.core.settings import Positive, Section, read_yaml, validated
from viker.core.shipped import shipped_names, shipped_path

FOLDER = Path(__file__).parent
DEFAULT = "viker"


class Examples(Section):
    """Solved questions that are shown before a question: same task and modality, about people of ``retain``."""

    people: Annotated[int, Field(ge=0)]
    """How many people they are about; those people aren't asked that task themselves. 0: nothing is shown."""
    questions: Positive | None
    """How many questions about each of them; null: all."""


def _shows_the_text(option: str, **filled: str) -> str:
    try:
        shown = option.format(**filled, text="\0")
    except (IndexError, KeyError, ValueError):
        shown = ""
    if "\0" not in shown:
        others = "".join(f", besides '{{{name}}}'" for name in filled)
        raise ValueError(f"expected '{{text}}' in it, and nothing else in braces{others}")
    return option


class Choice(Section):
    """Questions with four options by letter; the reply's first character is the choice."""

    option: str
    """One option's line; ``{letter}`` and ``{text}`` are filled in."""
    request: str
    """What follows the options; may be empty."""
    examples: Examples
    max_new_tokens: Positive

    _shows_the_text = field_validator("option")(lambda option: _shows_the_text(option, letter="A"))


class ChoiceFromList(Section):
    """Questions with a list of options without letters; the option that the reply is most like is the choice."""

    option: str
    """One option's line; ``{text}`` is filled in."""
    request: str
    """What follows the list."""

    _shows_the_text = field_validator("option")(lambda option: _shows_the_text(option))


class Cloze(Section):
    """Sentences with a gap."""

    blank: str
    """What stands for the gap, which the data write as ``__``."""
    request: str
    examples: Examples
    max_new_tokens: Positive


class Open(Section):
    """Questions that are answered in free text."""

    request: str
    """What follows the question; may be empty."""
    max_new_tokens: Positive


class Protocol(Section):
    """How every task is asked."""

    about: str = Field(min_length=1)
    """Whose protocol it is, and how it differs from theirs."""
    line_before_reply: bool
    """Whether the reply's role begins on a line of its own, where the model's chat template doesn't have it so."""
    classification: Choice
    classification_from_list: ChoiceFromList
    """Its replies are as long, and come without examples."""
    cloze: Cloze
    generation: Open
    caption: Open
    recognition: Open

    def longest(self, task: str) -> int:
        """Return the most tokens of a reply to a question of ``task``."""
        most: int = getattr(self, task).max_new_tokens
        return most

    def shortened(self, most: int | None) -> Protocol:
        """Return the protocol with replies of ``most`` tokens in every task; itself where ``most`` is None."""
        if most is None:
            return self
        parts = {task: getattr(self, task).model_copy(update={"max_new_tokens": most}) for task in ASKED}
        return self.model_copy(update=parts)

    @property
    def sha256(self) -> str:
        """The SHA-256 of its values, whatever the file's layout and comments."""
        return sha256_json(self.model_dump(mode="json", exclude={"about"}))


ASKED = ("classification", "cloze", "generation", "caption", "recognition")
"""The tasks that a protocol is about; the task qa is what models are trained on."""


def shipped_protocols() -> list[str]:
    """Return the names of the protocols that come with the project."""
    return shipped_names(FOLDER)


def protocol_path(protocol: str) -> Path:
    """Return the file of a protocol, by name or path. Raises ValueError: see ``shipped_path``."""
    return shipped_path(protocol, FOLDER, "protocol")


@cache
def load_protocol(protocol: str = DEFAULT) -> Protocol:
    """Read a protocol, by name or path. Raises UserError: it is missing, not YAML, or a key is missing or wrong."""
    path = protocol_path(protocol)
    missing = f"'evaluate.protocol' names it: give a path from the project's root, or {', '.join(shipped_protocols())}."
    return validated(Protocol, read_yaml(path, missing), path)
