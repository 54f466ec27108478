"""The questions that both models are asked, by the benchmarks' protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from viker.data.canonical import spelling_in
from viker.data.prompts import prompt_for, target_for
from viker.data.records import OPEN_TASKS, SPLITS, UNSEEN, Record, read_records
from viker.data.samples import Sample, sample_of

ONE_SENTENCE = "Answer in one sentence."


@dataclass(frozen=True)
class Question:
    """A record of a split, and how it is asked.

    ``known``: all private values of its person that the question doesn't say.
    """

    split: str
    record: Record
    sample: Sample
    known: tuple[str, ...] = ()

    @property
    def spoken(self) -> bool:
        """Whether it is answered in free text."""
        return self.record.task in OPEN_TASKS


def read_questions(prepared: Path, one_sentence: bool) -> list[Question]:
    """Return the questions of all splits of a prepared folder, each with each of its pictures; see ``build_questions``.

    Where there is an ``unseen.parquet``, people whom no model was trained on, they are asked the open questions too,
    for membership inference alone.
    """
    splits = [*SPLITS, *([UNSEEN] if (prepared / f"{UNSEEN}.parquet").is_file() else [])]
    return build_questions({split: read_records(prepared, split) for split in splits}, one_sentence)


def build_questions(records: Mapping[str, Sequence[Record]], one_sentence: bool) -> list[Question]:
    """Return what to ask: all but what the models are trained on, one question per record and picture.

    A classification question comes after an example: the first of the same modality about someone of ``retain``, with
    its right letter. That person's own classification questions of that modality are left out, for the prompts hold an
    answer of theirs. Without such a record there is no example.

    ``one_sentence``: whether ``ONE_SENTENCE`` follows a question of the task generation, as in MLLMU-Bench.

    Source: MLLMU-Bench's evaluation; the example is text alone, for a sample has one picture.
    """
    examples: dict[str, Record] = {}
    for record in records["retain"]:
        if record.task == "classification":
            examples.setdefault(record.modality, record)
    secrets: dict[str, dict[str, None]] = {}
    for split_records in records.values():
        for record in split_records:
            secrets.setdefault(record.person_id, {}).update(dict.fromkeys(record.secrets))
    questions = []
    for split, split_records in records.items():
        for record in split_records:
            example = examples.get(record.modality) if record.task == "classification" else None
            is_example = example is not None and example.person_id == record.person_id
            if record.task == "qa" or is_example or (split == UNSEEN and record.task not in OPEN_TASKS):
                continue
            prompt = _prompt(record, example, one_sentence)
            known = tuple(v for v in secrets[record.person_id] if not spelling_in(record.question, v))
            for picture in record.images or ("",):
                sample = replace(sample_of(record, picture), prompt=prompt)
                questions.append(Question(split, record, sample, known if record.secrets else ()))
    return questions


def _prompt(record: Record, example: Record | None, one_sentence: bool) -> str:
    if example is not None:
        return f"{prompt_for(example)}\n{target_for(example)}\n\n{prompt_for(record)}"
    if record.task == "generation" and one_sentence:
        return f"{record.question} {ONE_SENTENCE}"
    return prompt_for(record)
