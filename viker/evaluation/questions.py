"""The questions that both models are asked, by a protocol."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from viker.data.asked import examples_for, is_asked, shown_examples
from viker.data.canonical import spelling_in
from viker.data.prompts import prompt_for, target_for
from viker.data.protocols import Protocol
from viker.data.records import OPEN_TASKS, SPLITS, UNSEEN, Record, read_records
from viker.data.samples import Sample, sample_of
from viker.metrics.base.private_values import PeoplesValues, asks_for_name, is_name, judged, own_names


@dataclass(frozen=True)
class Question:
    """A record of a split, and how it is asked.

    ``record``: with the private values that a reply is judged by, see ``private_values.judged``; ``with_name``: all of
    its own; ``known``: all of its person that the question doesn't say. ``people``: whose all values are.
    """

    split: str
    record: Record
    sample: Sample
    known: tuple[str, ...] = ()
    with_name: tuple[str, ...] = ()
    people: PeoplesValues | None = None

    @property
    def spoken(self) -> bool:
        """Whether it is answered in free text."""
        return self.record.task in OPEN_TASKS


def read_questions(prepared: Path, protocol: Protocol) -> list[Question]:
    """Return the questions of all splits of a prepared folder, each with each of its pictures; see ``build_questions``.

    Where there is an ``unseen.parquet``, people whom no model was trained on, they are asked the open questions too,
    for membership inference alone.
    """
    splits = [*SPLITS, *([UNSEEN] if (prepared / f"{UNSEEN}.parquet").is_file() else [])]
    return build_questions({split: read_records(prepared, split) for split in splits}, protocol)


def build_questions(records: Mapping[str, Sequence[Record]], protocol: Protocol) -> list[Question]:
    """Return what to ask: all but what the models are trained on, one question per record and picture.

    The protocol's examples come before a question; the people whom they are about aren't asked that task themselves,
    since the prompts hold answers about them.
    """
    examples = shown_examples(records["retain"], protocol)
    secrets: dict[str, dict[str, None]] = defaultdict(dict)
    for split_records in records.values():
        for record in split_records:
            secrets[record.person_id].update(dict.fromkeys(record.secrets))
    names = own_names(record for split_records in records.values() for record in split_records)
    people = PeoplesValues.of([*records["forget"], *records["retain"]])
    questions = []
    for split, judged_records in judged(records).items():
        for record, whole in zip(judged_records, records[split], strict=True):
            if not is_asked(record, examples) or (split == UNSEEN and record.task not in OPEN_TASKS):
                continue
            prompt = prompt_for(record, protocol, examples_for(record, examples))
            own = names.get(record.person_id, set())
            own = set() if asks_for_name(whole, own) else own
            unsaid = (v for v in secrets[record.person_id] if not spelling_in(record.question, v))
            known = tuple(value for value in unsaid if not is_name(value, own)) if record.secrets else ()
            for picture in record.images or ("",):
                sample = replace(sample_of(record, picture), prompt=prompt, answer=target_for(record))
                questions.append(Question(split, record, sample, known, whole.secrets, people))
    return questions


def question_counts(prepared: Path, protocol: Protocol) -> dict[str, dict[str, int]]:
    """Return by split how many questions of prepared data a protocol asks (``samples``), about how many ``people``."""
    asked: dict[str, list[str]] = {split: [] for split in SPLITS}
    for question in read_questions(prepared, protocol):
        asked.setdefault(question.split, []).append(question.record.person_id)
    return {split: {"samples": len(people), "people": len(set(people))} for split, people in asked.items()}


def asked_tasks(prepared: Path, protocol: Protocol) -> Counter[tuple[str, str, str]]:
    """Return how many questions of prepared data a protocol asks, by split, modality and task."""
    questions = read_questions(prepared, protocol)
    return Counter((question.split, question.record.modality, question.record.task) for question in questions)
