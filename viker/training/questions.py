"""The questions that a run trains on: the data's, and what is unlearnt besides, so that a fact goes however it is told.

The loss acts on the answers in the data. A fact that is asked for with a picture alone may still be told by name, or
be filled into a gap behind it; and where the model replies in words of its own ("Vera Egede works in farming", of
somebody else), it never comes to the words that were unlearnt, and the value stays. Source: this project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viker.data.records import Record
from viker.data.rephrased import by_name, own_reply, source_id
from viker.data.samples import Sample, sample_of
from viker.generation.generate import replies
from viker.metrics.base.words import normalise
from viker.metrics.leakage import leaks
from viker.models.context_length import need_context
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits
from viker.teacher.people import People
from viker.teacher.teacher import TeacherInputs
from viker.training.private_tokens import private_values
from viker.training.settings import UnlearnParams
from viker.training.sharding import in_step

REPLY_BATCH = 16
MOST_TOKENS = 50
"""Of a reply, as in this project's protocol of evaluation."""


@dataclass(frozen=True)
class Questions:
    """What to forget and what to retain.

    ``records``: those of ``forget``, rephrased ones at the end; ``values``: by record ID, the private values in each
    answer to forget, and in the retain answers; ``people``: whose names stand in the texts.
    """

    records: list[Record]
    forget: list[Sample]
    retain: list[Sample]
    values: Mapping[str, Sequence[str]]
    people: People

    def teacher_inputs(self, images: Mapping[str, Sequence[str]]) -> TeacherInputs:
        """Return what the teacher is asked; ``images``: by ID of each record of the data, its irrelevant images."""
        shown = [images[source_id(sample.record_id)] for sample in self.forget]
        return TeacherInputs(self.forget, shown, [self.values[s.record_id] for s in self.forget], self.people)


def collect_questions(
    params: UnlearnParams, seed: int, model: Any, encoder: Encoder, records: Mapping[str, Sequence[Record]], of: str
) -> Questions:
    """Return the questions to train on; ``records``: of the splits forget and retain; ``of``: where they come from.

    Raises UserError: the model's context is too short for a record.
    """
    asked, kept = (trained(records[split], params.text_questions) for split in ("forget", "retain"))
    need_context(model, encoder, map(sample_of, (*asked, *kept)), of)
    values: dict[str, Sequence[str]] = {**private_values(records["forget"], records["retain"])}
    people = People.among(records["forget"], records["retain"], seed)
    if params.text_questions:
        asked += by_name(asked, people.names)
    if params.own_replies and asked:
        asked += own_replies(model, encoder, asked, values)
    origin = {record.id: source_id(record.id) for record in asked}
    values |= {record: values[source] for record, source in origin.items()}
    return Questions(asked, list(map(sample_of, asked)), list(map(sample_of, kept)), values, people.known_too(origin))


def trained(records: Sequence[Record], with_text: bool) -> list[Record]:
    """Return the data's questions to train on, and ``with_text`` the open ones and gaps that come without a picture."""
    kinds = {("qa", "image_text"), ("qa", "text")}
    if with_text:
        kinds |= {("generation", "text"), ("cloze", "text")}
    return [record for record in records if (record.task, record.modality) in kinds]


def own_replies(
    model: Any, encoder: Encoder, records: Sequence[Record], values: Mapping[str, Sequence[str]]
) -> list[Record]:
    """Return the records whose reply tells a private value in other words than the answer, with the reply in its place.

    Replies are greedy. ``values``: the private values of each record of the data, by ID.
    """
    samples = list(map(sample_of, records))
    with in_step(model, lambda: answer_logits(model, encoder.batch(samples[:1]))):
        said = replies(model, encoder, samples, REPLY_BATCH, MOST_TOKENS, "own replies")
    return [
        own_reply(record, reply)
        for record, reply in zip(records, said, strict=True)
        if leaks(reply, values[source_id(record.id)]) and normalise(reply) != normalise(record.answer)
    ]
