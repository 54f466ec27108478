"""Samples: what a model is shown and asked, and the answer to it; free of torch, so that any stage can make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from viker.data.prompts import prompt_for, target_for

if TYPE_CHECKING:
    from viker.data.records import Record


@dataclass(frozen=True)
class Sample:
    """What the model is shown and asked, and what it should answer; ``picture`` is a key of the pictures, "" for none.

    ``begun``: the first words of its reply, which it takes for its own and goes on from; not part of ``answer``.
    """

    record_id: str
    prompt: str
    answer: str
    picture: str
    begun: str = ""

    @property
    def asked(self) -> str:
        """The question and, on the next line, what the reply has begun with."""
        return "\n".join(filter(None, (self.prompt, self.begun)))


def sample_of(record: Record, picture: str | None = None) -> Sample:
    """Return the sample of a record, shown ``picture`` or else its first one."""
    shown = picture if picture is not None else next(iter(record.images), "")
    return Sample(record.id, prompt_for(record), target_for(record), shown)
